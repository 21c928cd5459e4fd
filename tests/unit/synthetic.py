"""Small tables of a study, made up, in the columns that the steps write."""

import json
from pathlib import Path

import numpy as np

from saggiatore.distill.posterior_tables import BAND, CONSTANTS, STRUCTURES
from saggiatore.infer.weight_clusters import CLUSTERS
from saggiatore.limits.score_posterior import SCORE_POSTERIORS, WITH_EXACT
from saggiatore.tables import Column, TableSchema, write_table

ORIGIN = {
    "spec": {
        "study": "toy",
        "section": {
            "luminosity": 300.0,
            "efficiency": 0.0023,
            "parameter": "f_w",
            "values": [-0.5, 0.5],
        },
    },
    "code": "0123",
    "commit": "unknown",
    "versions": {},
}
N = 2000

SCORES = TableSchema(
    "scores",
    1,
    (
        Column("x_p1", "1", "scaled transverse momentum", r"$x_{p,1}$"),
        Column("m_jj", "GeV", "invariant mass", r"$m_{jj}$"),
        Column("delta_phi", "rad", "signed angle", r"$\Delta\phi_{jj}$"),
        Column("weight", "pb", "weight"),
        Column("joint_score", "1", "joint score", "joint score $t$"),
        Column("score_network", "1", "score of the network"),
        Column("score_formula", "1", "score of the formula"),
        Column("spread_network", "1", "standard deviation of score_network over draws"),
    ),
)
HISTORY = TableSchema(
    "history",
    1,
    (
        Column("epoch", "1", "passes", "epoch", "int"),
        Column("train_loss", "1", "training loss"),
        Column("validation_loss", "1", "validation loss"),
    ),
)
PULLS = TableSchema(
    "pulls",
    2,
    (
        *(Column(name, "1", name) for name in ("pull", "mean", "std_stat", "std_noise", "marginal_score")),
        Column("weight", "pb", "weight"),
        Column("m_jj", "GeV", "invariant mass of the jets", "$m_{jj}$"),
    ),
)
CALIBRATION_COLUMNS = (
    "level",
    "coverage",
    "coverage_error",
    "coverage_normal",
    "coverage_normal_error",
    "pull_mean",
    "pull_mean_error",
    "pull_width",
    "pull_width_error",
    "temperature",
    "temperature_error",
    "pull_width_tempered",
    "pull_width_tempered_error",
    "sharpness_stat",
    "sharpness_noise",
    "coverage_stat",
    "pull_stat_width",
    "score_error",
    "n_train",
)
CALIBRATION = TableSchema("calibration", 1, tuple(Column(name, "1", name) for name in CALIBRATION_COLUMNS))
DIAGNOSTICS = TableSchema(
    "diagnostics",
    1,
    (
        Column("parameter", "1", "name", kind="str"),
        Column("rhat", "1", "split R-hat"),
        Column("ess", "1", "effective sample size"),
        Column("n_divergent", "1", "divergences", kind="int"),
    ),
)
INTEGRAL = TableSchema(
    "integral",
    1,
    (
        Column("cross_section", "pb", "fiducial cross section"),
        Column("cross_section_error", "pb", "its error"),
        Column("unweighting_efficiency", "1", "efficiency"),
        Column("cut_efficiency", "1", "efficiency"),
        Column("overweight_rate", "1", "rate"),
    ),
)
HALL_OF_FAME = TableSchema(
    "hall_of_fame",
    1,
    (
        Column("complexity", "1", "nodes", kind="int"),
        Column("loss", "1", "loss"),
        Column("expression", "1", "srepr", kind="str"),
        Column("latex", "1", "latex", kind="str"),
        Column("engine", "1", "engine", kind="str"),
        Column("engine_version", "1", "version", kind="str"),
    ),
)
REFITS = TableSchema(
    "refits",
    1,
    (
        Column("complexity", "1", "nodes", kind="int"),
        Column("latex", "1", "latex", kind="str"),
        Column("mse_select", "1", "mean squared error"),
        Column("mse_select_error", "1", "its error"),
        Column("information_select", "1", "share"),
        Column("information_select_error", "1", "its error"),
        Column("frequency", "1", "fraction"),
        Column("singular", "1", "part without a value", kind="str"),
        Column("is_chosen", "1", "1 if chosen", kind="int"),
    ),
)
INFORMATION = TableSchema(
    "information",
    1,
    (
        Column("name", "1", "name", kind="str"),
        Column("kind", "1", "kind", kind="str"),
        Column("singular", "1", "part without a value", kind="str"),
        Column("mse", "1", "mean squared error"),
        Column("mse_error", "1", "its error"),
        Column("e_t2", "1", "E[t^2]"),
        Column("information", "1", "share"),
        Column("information_error", "1", "its error"),
    ),
)
AGREEMENT = TableSchema(
    "agreement",
    1,
    (
        Column("name", "1", "name", kind="str"),
        Column("reference", "1", "reference", kind="str"),
        Column("correlation", "1", "correlation"),
        Column("correlation_error", "1", "its error"),
        Column("slope", "1", "slope"),
        Column("slope_error", "1", "its error"),
    ),
)
BAND_TABLE = TableSchema("band", 1, BAND)
FORMS = [
    r"- 0.1\,\Delta\phi_{jj}",
    r"- 0.5925(35)\,x_{p,1}\,\sin{\left(\Delta\phi_{jj} \right)}",
    r"\frac{0.600(10)\,x_{p,1}\,\sin{\left(\Delta\phi_{jj} \right)}}{0.100(20) + x_{p,1}^{2}}",
]
LIMITS = TableSchema(
    "limits",
    1,
    (
        Column("name", "1", "observable", kind="str"),
        Column("kind", "1", "kind", kind="str"),
        Column("parameter", "1", "theory parameter", kind="str"),
        Column("with_rate", "1", "1: with the number of events", kind="int"),
        Column("method", "1", "fisher, expected, profiled or experiments", kind="str"),
        Column("level", "1", "stated probability"),
        Column("low", "1", "lower end"),
        Column("low_error", "1", "its spread"),
        Column("high", "1", "upper end"),
        Column("high_error", "1", "its spread"),
        Column("is_bounded", "1", "1 if both ends lie inside", kind="int"),
        Column("nonlinearity", "1", "relative distance"),
        Column("is_linear", "1", "1 if small", kind="int"),
    ),
)
COVERAGE = TableSchema(
    "coverage",
    1,
    (
        *LIMITS.columns[:2],
        LIMITS.columns[3],
        Column("level", "1", "stated probability"),
        Column("coverage", "1", "fraction of experiments"),
        Column("coverage_error", "1", "its error"),
    ),
)
SENSITIVITY = TableSchema(
    "sensitivity",
    1,
    (
        *LIMITS.columns[:2],
        LIMITS.columns[3],
        Column("n_bins", "1", "bins", kind="int"),
        Column("information", "1", "share"),
        Column("binning_loss", "1", "part that the bins lose"),
    ),
)
SCAN = TableSchema(
    "scan",
    1,
    (
        *LIMITS.columns[:2],
        LIMITS.columns[3],
        Column("theta_f_w", "1", "value of f_w"),
        Column("theta_f_ww", "1", "value of f_ww"),
        Column("q", "1", "-2 log of the likelihood ratio"),
        Column("q_profiled", "1", "the same, nuisance parameters free"),
    ),
)
OBSERVABLES = (("truth", "truth", 1.0), ("network", "model", 1.1), ("histogram_delta_phi", "histogram", 1.6))
FORMULA = {
    "format": 1,
    "kind": "formula",
    "name": "c",
    "engine": {"name": "operon", "version": "1"},
    "constants": {"a": -0.5925},
    "quality": {"mse_train": 0.01, "chi2": 0.42, "frequency": 0.16},
    "expression": "Mul(Symbol('a'), Symbol('x_p1'), sin(Symbol('delta_phi')))",
    "covariance": [[1.225e-5]],
    "shown": {
        "text": "a*x_p1*sin(delta_phi)",
        "latex": r"-0.5925(35) \, x_{p,1} \sin{\left(\Delta\phi_{jj} \right)}",
        "complexity": 6,
        "errors": {"a": 0.0035},
        "python": "import numpy as np\n",
        "cpp": "#include <cmath>\n",
        "tformula": "[0]*x[0]*sin(x[2])",
    },
}


def write_scores(path: Path, seed: int = 1) -> None:
    """Heavy-tailed events whose score is odd in delta_phi."""
    rng = np.random.default_rng(seed)
    x_p1, delta_phi = rng.gamma(2.0, 0.4, N), rng.uniform(-np.pi, np.pi, N)
    formula = -x_p1 * np.sin(delta_phi)
    columns = {
        "x_p1": x_p1,
        "m_jj": 400 * rng.uniform(size=N) ** -0.5,
        "delta_phi": delta_phi,
        "weight": np.full(N, 1e-4),
        "joint_score": formula + 0.1 * rng.standard_t(3, N),
        "score_network": 0.98 * formula,
        "score_formula": formula,
        "spread_network": 0.02 + 0.01 * np.abs(formula),
    }
    write_table(path, SCORES, columns, ORIGIN)


EVENTS = TableSchema(
    "events",
    1,
    (
        Column("weight", "pb", "weight"),
        *(Column(f"weight_{name}", "pb", "weight") for name in ("mur0p5_muf1", "mur2_muf1", "member1")),
        Column("pt_v", "GeV", "transverse momentum", "$p_{T,W}$"),
        Column("delta_r_jj", "1", "distance", r"$\Delta R_{jj}$"),
        Column("leg0_pdg", "1", "PDG number", kind="int"),
        Column("leg0_e", "GeV", "energy"),
    ),
)
SCALED = {"weight_mur0p5_muf1": 1.3, "weight_mur2_muf1": 0.8, "weight_member1": 3.0}


def _events() -> tuple[TableSchema, dict]:
    """Weights at two other scales, and of one member of the densities, in fixed ratios."""
    rng = np.random.default_rng(11)
    weight = np.full(N, 0.02)
    columns = {"pt_v": rng.gamma(2.0, 40.0, N), "delta_r_jj": rng.gamma(9.0, 0.3, N) + 0.4}
    legs = {"leg0_pdg": np.full(N, 21), "leg0_e": np.full(N, 100.0)}
    return EVENTS, {"weight": weight, **{name: weight * each for name, each in SCALED.items()}, **columns, **legs}


def write_study(root: Path) -> dict[str, Path]:
    """Every artefact that figures and numbers read, under `root`; by table name."""
    names = {
        "scores": "tables/main.scores.parquet",
        "events": "events/train.parquet",
        "information": "tables/main.information.parquet",
        "agreement": "tables/main.agreement.parquet",
        "score_posteriors": "tables/main.score_posteriors.parquet",
        "integral": "tables/map.integral.parquet",
        "history": "models/network.history.parquet",
        "pulls": "tables/network.pulls.parquet",
        "calibration": "tables/network.calibration.parquet",
        "diagnostics": "draws/network.diagnostics.parquet",
        "teacher": "tables/network.teacher.parquet",
        "control": "tables/main.control.parquet",
        "weights": "tables/main.weights.parquet",
        "reliability": "tables/main.reliability.parquet",
        "clusters": "tables/main.clusters.parquet",
        "hall_of_fame": "formulas/formula.hall_of_fame.parquet",
        "refits": "formulas/formula.refits.parquet",
        "formula": "formulas/formula.formula.json",
        "structures": "tables/formula.structures.parquet",
        "constants": "tables/formula.constants.parquet",
        "band": "tables/formula.band.parquet",
        "limits": "tables/one.limits.parquet",
        "coverage": "tables/one.coverage.parquet",
        "sensitivity": "tables/one.sensitivity.parquet",
        "scan": "tables/one.scan.parquet",
        "ratios": "tables/main.ratios.parquet",
        "log_ratios": "tables/main.log_ratios.parquet",
        "accuracy": "tables/main.accuracy.parquet",
        "deltas": "tables/main.deltas.parquet",
        "amplification": "tables/generated.amplification.parquet",
        "predictive": "tables/density.predictive.parquet",
    }
    paths = {name: root / path for name, path in names.items()}
    write_scores(paths["scores"])
    for schema, columns in [*_columns(), *_limits(), *_ratios(), *_accuracy()]:
        write_table(paths[schema.name], schema, columns, ORIGIN)
    paths["formula"].write_text(json.dumps(FORMULA))
    return paths


TEACHER = TableSchema(
    "teacher",
    1,
    (
        Column("x_p1", "1", "scaled transverse momentum", r"$x_{p,1}$"),
        Column("delta_phi", "rad", "signed angle", r"$\Delta\phi_{jj}$"),
        Column("score", "1", "score"),
    ),
)
_NAME = Column("name", "1", "name", kind="str")
CONTROL = TableSchema(
    "control",
    1,
    (
        _NAME,
        Column("kind", "1", "kind", kind="str"),
        Column("chi2", "1", "chi2 a bin", r"$\chi^2_{1d}$"),
        Column("chi2_2d", "1", "chi2 a bin of pairs", r"$\chi^2_{2d}$"),
        Column("chi2_reweighted", "1", "chi2 a bin with w", r"$\chi^2_{1d}$ with $w$"),
        Column("auc", "1", "area", "AUC"),
        Column("auc_error", "1", "error"),
    ),
)
WEIGHTS = TableSchema(
    "weights",
    1,
    (
        _NAME,
        Column("low", "1", "lower edge", r"$\log_{10} w$"),
        Column("high", "1", "upper edge"),
        Column("generated", "1", "fraction", "fraction of events"),
    ),
)
RELIABILITY = TableSchema(
    "reliability",
    1,
    (
        _NAME,
        Column("stated", "1", "stated", "stated $D$"),
        Column("found", "1", "found", "fraction of true events"),
        Column("found_error", "1", "error"),
    ),
)


def _control() -> list[tuple[TableSchema, dict]]:
    """True events, two generators and one with a long name."""
    names = ["truth", "spline_flow", "flow_matching"]
    edges, stated = np.linspace(-1.5, 1.5, 21), np.linspace(0.3, 0.7, 9)
    centre = (edges[1:] + edges[:-1]) / 2
    found = np.concatenate([np.exp(-0.5 * (centre / width) ** 2) for width in (0.1, 0.2, 0.3)])
    return [
        (
            CONTROL,
            {
                "name": names,
                "kind": names,
                "chi2": [1.1, 2.0, 9.0],
                "chi2_2d": [0.9, 3.0, 4.0],
                "chi2_reweighted": [1.1, 1.3, 2.0],
                "auc": [0.5, 0.52, 0.6],
                "auc_error": [0.002] * 3,
            },
        ),
        (
            WEIGHTS,
            {
                "name": np.repeat(names, 20),
                "low": np.tile(edges[:-1], 3),
                "high": np.tile(edges[1:], 3),
                "generated": found / found.sum(),
            },
        ),
        (
            RELIABILITY,
            {
                "name": np.repeat(names, 9),
                "stated": np.tile(stated, 3),
                "found": np.tile(stated, 3),
                "found_error": np.full(27, 0.01),
            },
        ),
    ]


def _clusters() -> tuple[TableSchema, dict]:
    """Two generators, two features, one cluster above and two below."""
    rows = [
        {"name": name, "tail": tail, "cluster": cluster, "n_events": 10, "feature": feature, "unit": unit}
        | {"label": label, "z": 0.5 * cluster, "z_low": 0.3 * cluster, "z_high": 1.1 * cluster, "true": 0.02}
        for name in ("spline_flow", "flow_matching")
        for tail, cluster in (("above", 1), ("below", 1), ("below", 2))
        for feature, unit, label in (("m_jj", "GeV", "$m_{jj}$"), ("delta_phi", "rad", r"$\Delta\phi$"))
    ]
    filled = [row | {"share": 0.4, "weight": 1.7, "true_error": 0.001, "generated_error": 0.002} for row in rows]
    known = {column.name: 0.01 for column in CLUSTERS.columns}
    return CLUSTERS, {name: [(known | row)[name] for row in filled] for name in CLUSTERS.names}


PREDICTIVE = TableSchema(
    "predictive",
    1,
    (
        *(Column(f"m_jj_{end}", "GeV", "edge of the bin", "$m_{jj}$") for end in ("low", "high")),
        *(Column(name, "1", name) for name in ("probability", "truth", "std", "relative_std", "fit_std_1")),
        *(Column(name, "1", name) for name in ("truth_error", "pull")),
        Column("is_populated", "1", "1 if populated", kind="int"),
    ),
)


def _predictive() -> tuple[TableSchema, dict]:
    """Ten bins of a mass, the last of them nearly empty."""
    edges = np.linspace(400.0, 900.0, 11)
    truth = np.append(np.linspace(0.19, 0.02, 9), 1e-5)
    columns = {"m_jj_low": edges[:-1], "m_jj_high": edges[1:], "probability": 1.01 * truth, "truth": truth}
    columns |= {"std": 0.02 * truth, "relative_std": np.append(np.full(9, 0.02), 3.0), "fit_std_1": 0.015 * truth}
    columns |= {"truth_error": np.zeros(10), "pull": np.full(10, 0.5), "is_populated": np.append(np.ones(9, int), 0)}
    return PREDICTIVE, columns


AMPLIFICATION = TableSchema(
    "amplification",
    1,
    (
        Column("kind", "1", "kind", kind="str"),
        Column("n_events", "1", "events", "events", "int"),
        Column("error", "1", "error", "MSE of quantiles"),
        *(Column(name, "1", name) for name in ("error_error", "expected", "worth", "worth_error")),
    ),
)


def _amplification() -> tuple[TableSchema, dict]:
    """A density that is worth five times its 500 events."""
    n_events = np.array([500, 100, 1000, 10_000, 0])
    expected = np.divide(0.09, n_events, out=np.zeros(5), where=n_events > 0)
    error = expected + np.where(np.arange(5) > 0, 0.09 / 2500, 0)
    columns = {"kind": ["training", *["generated"] * 3, "density"], "n_events": n_events, "error": error}
    return AMPLIFICATION, columns | {
        "error_error": 0.1 * error,
        "expected": expected,
        "worth": 0.09 / error / 500,
        "worth_error": 0.009 / error / 500,
    }


def _pulls() -> dict[str, np.ndarray]:
    random, n_events = np.random.default_rng(2), 500
    exact = random.normal(size=n_events)
    return {
        "pull": random.normal(size=n_events),
        "mean": exact + 0.05 * random.normal(size=n_events),
        "std_stat": np.full(n_events, 0.05),
        "std_noise": np.full(n_events, 0.5),
        "marginal_score": exact,
        "weight": np.full(n_events, 0.1),
        "m_jj": 400 * random.uniform(size=n_events) ** -0.5,
    }


def _columns() -> list[tuple[TableSchema, dict]]:
    epoch = np.arange(1, 21)
    level = np.array([0.5, 0.68, 0.9])
    calibration = dict.fromkeys(CALIBRATION_COLUMNS, np.full(3, 0.01))
    calibration |= {"level": level, "coverage": level, "coverage_normal": level, "pull_width": np.full(3, 1.02)}
    calibration |= {"n_train": np.full(3, 1000.0), "sharpness_noise": np.full(3, 0.7)}
    complexity = np.array([1, 3, 6])
    empty = [""] * 3
    structures = {column.name: [0.5, 0.25] for column in STRUCTURES.columns if column.kind == "float"}
    structures |= {column.name: [6, 8] for column in STRUCTURES.columns if column.kind == "int"}
    structures |= {"structure": [0, 1], "is_formula": [1, 0], "expression": empty[:2], "latex": FORMS[1:]}
    structures |= {"text": ["k*x_p1*sin(delta_phi)", "k*x_p1*sin(delta_phi) + k"]}
    structures |= {"form": ["a*x_p1*sin(delta_phi)", "a*x_p1*sin(delta_phi) + b"]}
    rng = np.random.default_rng(7)
    taught = {"x_p1": rng.gamma(2.0, 0.4, N), "delta_phi": rng.uniform(-np.pi, np.pi, N), "score": rng.normal(size=N)}
    return [
        *_control(),
        _events(),
        _clusters(),
        _predictive(),
        _amplification(),
        (TEACHER, taught),
        (
            HISTORY,
            {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 1 / epoch + 0.001 * (epoch - 15.0) ** 2},
        ),
        (PULLS, _pulls()),
        (CALIBRATION, calibration),
        (DIAGNOSTICS, {"parameter": ["a", "b"], "rhat": [1.0, 1.01], "ess": [900.0, 400.0], "n_divergent": [0, 0]}),
        (
            INTEGRAL,
            {
                "cross_section": [1.234],
                "cross_section_error": [0.002],
                "unweighting_efficiency": [0.04],
                "cut_efficiency": [0.5],
                "overweight_rate": [0.001],
            },
        ),
        (
            HALL_OF_FAME,
            {
                "complexity": complexity,
                "loss": [0.2, 0.1, 0.01],
                "expression": empty,
                "latex": empty,
                "engine": ["operon"] * 3,
                "engine_version": ["1"] * 3,
            },
        ),
        (
            REFITS,
            {
                "complexity": complexity,
                "latex": FORMS,
                "mse_select": [0.21, 0.11, 0.02],
                "mse_select_error": [0.01, 0.005, 0.002],
                "information_select": [0.3, 0.7, 0.95],
                "information_select_error": [0.01, 0.005, 0.002],
                "frequency": [0.1, 0.0, 0.9],
                "singular": ["", "x_p1 - 4.0", ""],
                "is_chosen": [0, 0, 1],
            },
        ),
        (STRUCTURES, structures),
        (
            CONSTANTS,
            {
                "structure": [0, 1, 1],
                "name": ["a", "a", "b"],
                "value": [-0.59, 0.6, 0.32],
                "error": [0.005, 0.01, 0.02],
                "error_draws": [0.0021, 0.006, 0.012],
                "error_refit": [0.004, 0.008, 0.016],
            },
        ),
        (BAND_TABLE, dict(zip(BAND_TABLE.names, np.random.default_rng(4).uniform(0.1, 1, (6, 100)), strict=True))),
        (
            INFORMATION,
            {
                "name": ["network", "formula", "sign_delta_phi"],
                "kind": ["model", "formula", "sign"],
                "singular": ["", "b + cos(delta_phi)", ""],
                "mse": [0.03, 0.031, 0.3],
                "mse_error": [0.001, 0.001, 0.01],
                "e_t2": [0.4] * 3,
                "information": [0.9543, 0.9512, 0.331],
                "information_error": [0.0034, 0.0036, 0.012],
            },
        ),
        (
            AGREEMENT,
            {
                "name": ["network", "formula", "network", "formula"],
                "reference": ["joint_score", "joint_score", "network", "network"],
                "correlation": [0.977, 0.975, 1.0, 0.996],
                "correlation_error": [0.002, 0.002, 0.0, 0.001],
                "slope": [0.95, 0.94, 1.0, 0.99],
                "slope_error": [0.003, 0.003, 0.0, 0.002],
            },
        ),
        (
            TableSchema(
                "score_posteriors",
                2,
                (*SCORE_POSTERIORS.columns, *WITH_EXACT),
            ),
            {"name": ["replicas"] * 2, "reference": ["joint_score", "network"]}
            | {c.name: [0.25, 0.5] for c in (*SCORE_POSTERIORS.columns, *WITH_EXACT) if c.kind == "float"}
            | {"n_draws": [9, 9], "error": [0.125, 0.125]},
        ),
    ]


def _limits() -> list[tuple[TableSchema, dict]]:
    rows = [
        (name, kind, rate, method, level, width * scale)
        for name, kind, width in OBSERVABLES
        for rate in (0, 1)
        for method in ("fisher", "expected", "profiled", "experiments")
        for level, scale in ((0.68, 1.0), (0.95, 1.96), (0.997, 3.0))
        if kind != "truth" or method in ("fisher", "expected")
    ]
    name, kind, rate, method, level, high = (np.array(column) for column in zip(*rows, strict=True))
    is_far = (method == "fisher") & (level == 0.95) & (kind == "histogram")
    limits = {"name": name, "kind": kind, "parameter": np.repeat("f_w", len(rows)), "with_rate": rate, "method": method}
    limits |= {"level": level, "low": -high, "high": high, "is_bounded": np.ones(len(rows), int)}
    limits |= dict.fromkeys(("low_error", "high_error"), 0.1 * np.isin(method, ("expected", "experiments")))
    limits |= {"nonlinearity": 0.3 * is_far, "is_linear": 1 - is_far.astype(int)}
    each = [(name, kind, width, rate) for name, kind, width in OBSERVABLES for rate in (0, 1)]
    names = {"name": [row[0] for row in each], "kind": [row[1] for row in each], "with_rate": [row[3] for row in each]}
    coverage = names | {"level": [0.95] * 6, "coverage": [0.953] * 6, "coverage_error": [0.005] * 6}
    shares = {"n_bins": [30] * 6, "information": [1 / row[2] for row in each], "binning_loss": [0.02] * 6}
    axis = np.linspace(-6, 6, 25)
    one, other = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    scan = {key: np.repeat(values, len(one)) for key, values in names.items()}
    scan |= {"theta_f_w": np.tile(one, 6), "theta_f_ww": np.tile(other, 6)}
    scan["q"] = np.concatenate([(one**2 + 0.5 * one * other + other**2) / row[2] ** 2 for row in each])
    scan["q_profiled"] = 0.9 * scan["q"]
    return [(LIMITS, limits), (COVERAGE, coverage), (SENSITIVITY, names | shares), (SCAN, scan)]


_NUMBERS = ("theta", "mse", "mse_error", "bias", "bias_error", "mean_square", "n_events")
RATIOS = TableSchema(
    "ratios",
    1,
    (
        *(Column(name, "1", name, kind="str") for name in ("name", "kind", "task")),
        *(Column(name, "1", name, name) for name in _NUMBERS),
    ),
)


def _ratios() -> list[tuple[TableSchema, dict]]:
    names, values = ("alices", "network"), (-0.5, 0.5)
    rows = [(name, kind, value) for name, kind in zip(names, ("ratio", "score"), strict=True) for value in values]
    ratios = {"name": [row[0] for row in rows], "kind": [row[1] for row in rows], "theta": [row[2] for row in rows]}
    ratios |= {"task": ["alices"] * 2 + ["joint_score"] * 2, "mse": [1e-4] * 2 + [2e-2] * 2, "mse_error": [1e-5] * 4}
    ratios |= {"bias": [0.001] * 4, "bias_error": [1e-4] * 4, "mean_square": [0.3] * 4, "n_events": [N] * 4}
    rng = np.random.default_rng(8)
    exact = rng.normal(0, 0.5, N)
    found = {name: exact + width * rng.normal(size=N) for name, width in zip(names, (0.01, 0.1), strict=True)}
    columns = {"weight": np.full(N, 1e-4)}
    columns |= {f"log_ratio_{name}": column for name, column in {"exact": exact, **found}.items()}
    schema = TableSchema("log_ratios", 1, tuple(Column(name, "1", name, r"$\log r$") for name in columns))
    return [(RATIOS, ratios), (schema, columns)]


_ACCURACIES = ("delta_50", "delta_95", "pull_68", "pull_syst_68", "pull_stat_68", "sigma_syst", "sigma_stat")
ACCURACY = TableSchema(
    "accuracy",
    1,
    (
        *(Column(name, "1", name, kind="str") for name in ("name", "kind", "method", "region")),
        Column("n_train", "1", "training events", "training events", "int"),
        *(Column(f"{name}{error}", "1", name) for name in _ACCURACIES for error in ("", "_error")),
    ),
)


def _accuracy() -> list[tuple[TableSchema, dict]]:
    names = ("mlp", "dsi")
    rows = {
        "name": names,
        "kind": names,
        "method": ("none", "replicas"),
        "region": ("all", "all"),
        "n_train": (500, 900),
    }
    rows |= {f"{name}{error}": (2e-2, 3e-3) for name in _ACCURACIES for error in ("", "_error")}
    rng = np.random.default_rng(9)
    found = {name: width * rng.normal(size=N) for name, width in zip(names, (0.01, 0.1), strict=True)}
    columns = {"weight": np.full(N, 1e-4)} | {f"delta_{name}": column for name, column in found.items()}
    columns |= {f"pull_{name}": column / column.std() for name, column in found.items()}
    schema = TableSchema("deltas", 1, tuple(Column(name, "1", name) for name in columns))
    return [(ACCURACY, rows), (schema, columns)]
