"""Columns of the tables that hold generated events against true ones."""

from saggiatore.tables import Column, TableSchema

_NAME = Column("name", "1", "name of the entry", kind="str")
CONTROL = TableSchema(
    "control",
    1,
    (
        _NAME,
        Column("kind", "1", "kind of the generator; 'truth' for events of the process", "generator", "str"),
        Column(
            "n_parameters", "1", "trained numbers of the generator; 0 for events of the process", "parameters", "int"
        ),
        Column("n_events", "1", "events that were compared", "events", "int"),
        Column("wasserstein", "1", "mean over features of the Wasserstein-1 distance, in standard deviations", "$W_1$"),
        Column("kolmogorov_smirnov", "1", "largest Kolmogorov-Smirnov distance of a feature", "KS"),
        Column("chi2", "1", "mean over features of the chi2 a bin; 1 is the statistical limit", r"$\chi^2_{1d}$"),
        Column("chi2_2d", "1", "mean over pairs of features of the chi2 a bin", r"$\chi^2_{2d}$"),
        Column("wasserstein_reweighted", "1", "wasserstein of the generated events weighted by w", r"$W_1$ with $w$"),
        Column("chi2_reweighted", "1", "chi2 of the generated events weighted by w", r"$\chi^2_{1d}$ with $w$"),
        Column("auc", "1", "area under the classifier's curve; 0.5 where nothing tells the events apart", "AUC"),
        Column("auc_error", "1", "standard error of auc"),
        Column("weight_std", "1", "standard deviation of w = D/(1 - D) of the generated events", r"$\sigma_w$"),
        Column("weight_max", "1", "greatest w of the generated events", r"$w_{\rm max}$"),
        Column(
            "weight_mean",
            "1",
            "mean of w of the generated events, 1 for a calibrated classifier",
            r"$\langle w \rangle$",
        ),
        Column("kept", "1", "effective sample size of the reweighted events over their number", "ESS"),
    ),
)
MARGINALS = TableSchema(
    "marginals",
    1,
    (
        _NAME,
        Column("feature", "1", "feature", kind="str"),
        Column("wasserstein", "1", "Wasserstein-1 distance in standard deviations of the true events", "$W_1$"),
        Column("kolmogorov_smirnov", "1", "Kolmogorov-Smirnov distance", "KS"),
        Column("chi2", "1", "chi2 a bin; 1 is the statistical limit", r"$\chi^2$ a bin"),
    ),
)
WEIGHTS = TableSchema(
    "weights",
    1,
    (
        _NAME,
        Column("low", "1", "lower edge of a bin of log10 w", r"$\log_{10} w$"),
        Column("high", "1", "upper edge"),
        Column("generated", "1", "fraction of the generated events", "fraction of events"),
        Column("generated_error", "1", "its standard error"),
        Column("true", "1", "fraction of the true events"),
        Column("true_error", "1", "its standard error"),
    ),
)
RELIABILITY = TableSchema(
    "reliability",
    1,
    (
        _NAME,
        Column("stated", "1", "mean of the classifier's D in the bin", "stated $D$"),
        Column("found", "1", "fraction of true events in the bin", "fraction of true events"),
        Column("found_error", "1", "its binomial error, were the statement right"),
        Column("n_events", "1", "events in the bin", kind="int"),
    ),
)
