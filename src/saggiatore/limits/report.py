"""Tables of an analysis: limits, scans of the likelihood, sensitivity, coverage, and what is expected in the bins."""

from collections.abc import Iterator

import numpy as np

from saggiatore.limits.analysis import TRUTH, Analysis, Reach
from saggiatore.tables import Column, TableSchema
from saggiatore.types import Float

NAME = Column("name", "1", "name of the observable; truth: the whole events", kind="str")
KIND = Column("kind", "1", "model, ratio, formula, form (refitted), histogram, sign, rate or truth", kind="str")
WITH_RATE = Column("with_rate", "1", "1: distribution and number of events; 0: distribution alone", kind="int")
LEVEL = Column("level", "1", "stated probability")

LIMITS = TableSchema(
    "limits",
    1,
    (
        NAME,
        KIND,
        Column("parameter", "1", "theory parameter; another one is free", kind="str"),
        WITH_RATE,
        Column(
            "method",
            "1",
            "fisher: linear approximation; expected: exact likelihood of the expected data; profiled: the same with "
            "nuisance parameters; experiments: median of pseudo-experiments",
            kind="str",
        ),
        LEVEL,
        Column("low", "1", "lower end of the interval, in units of the parameter's direction"),
        Column("low_error", "1", "expected: spread over the posterior; experiments: half of the central 68 %"),
        Column("high", "1", "upper end of the interval, in units of the parameter's direction"),
        Column("high_error", "1", "expected: spread over the posterior; experiments: half of the central 68 %"),
        Column("is_bounded", "1", "1 if both ends lie inside the range that was searched", kind="int"),
        Column("is_connected", "1", "1 if no other part of the range is allowed", kind="int"),
        Column("nonlinearity", "1", "fisher: largest relative distance of an end from the exact likelihood's"),
        Column("is_linear", "1", "1 unless that is more than the study allows", kind="int"),
    ),
)
SENSITIVITY = TableSchema(
    "sensitivity",
    1,
    (
        NAME,
        KIND,
        WITH_RATE,
        Column("n_bins", "1", "bins of the likelihood; 0 if it is unbinned", kind="int"),
        Column("information", "1", "Fisher information over the truth's; of two parameters, of each on average"),
        Column("information_score", "1", "the same of the score without bins, distribution alone; 0 if it is no score"),
        Column(
            "binning_loss",
            "1",
            "part of the score's information that the bins lose; below 0 if they know more than the score itself, "
            "0 if it is no score",
        ),
        Column("least_expected", "1", "events expected in the emptiest bin"),
        Column("n_nuisance", "1", "nuisance parameters for posterior and theory variations", kind="int"),
    ),
)
COVERAGE = TableSchema(
    "coverage",
    1,
    (
        NAME,
        KIND,
        WITH_RATE,
        LEVEL,
        Column("coverage", "1", "fraction of pseudo-experiments at zero whose region holds zero"),
        Column("coverage_error", "1", "its binomial error, if the stated probability is true"),
        Column("n_experiments", "1", "pseudo-experiments", kind="int"),
    ),
)


def limits_columns(analysis: Analysis) -> dict[str, list]:
    """Columns of the table [limits]."""
    rows = analysis.limits
    allowed = analysis.settings.max_nonlinearity
    return {
        "name": [row.name for row in rows],
        "kind": [row.kind for row in rows],
        "parameter": [row.parameter for row in rows],
        "with_rate": [int(row.with_rate) for row in rows],
        "method": [row.method for row in rows],
        "level": [row.level for row in rows],
        "low": [row.interval.low for row in rows],
        "low_error": [row.errors[0] for row in rows],
        "high": [row.interval.high for row in rows],
        "high_error": [row.errors[1] for row in rows],
        "is_bounded": [int(row.interval.is_bounded) for row in rows],
        "is_connected": [int(row.interval.is_connected) for row in rows],
        "nonlinearity": [row.nonlinearity for row in rows],
        "is_linear": [int(row.nonlinearity <= allowed) for row in rows],
    }


def scan_schema(analysis: Analysis) -> TableSchema:
    """One row for each likelihood and point."""
    values = (Column(f"theta_{name}", "1", f"value of {name}", name) for name in analysis.settings.parameters)
    q = Column("q", "1", "-2 log of the likelihood of the expected data over its maximum", r"$-2\,\log\,L/L_{\max}$")
    profiled = Column("q_profiled", "1", "the same, nuisance parameters free; q if there are none")
    return TableSchema("scan", 1, (NAME, KIND, WITH_RATE, *values, q, profiled))


def scan_columns(analysis: Analysis) -> dict[str, np.ndarray]:
    """Columns of the table [scan]."""
    points, reaches = analysis.settings.points, analysis.reaches
    n = len(points)
    columns = {
        "name": np.repeat([reach.name for reach in reaches], n),
        "kind": np.repeat([reach.kind for reach in reaches], n),
        "with_rate": np.repeat([int(reach.with_rate) for reach in reaches], n),
        "q": np.concatenate([reach.q for reach in reaches]),
        "q_profiled": np.concatenate([reach.q if reach.profiled_q is None else reach.profiled_q for reach in reaches]),
    }
    for place, name in enumerate(analysis.settings.parameters):
        columns[f"theta_{name}"] = np.tile(points[:, place], len(reaches))
    return columns


def sensitivity_columns(analysis: Analysis) -> dict[str, list]:
    """Columns of the table [sensitivity]."""
    rows = [_sensitivity(analysis, reach) for reach in analysis.reaches]
    return {name: [row[name] for row in rows] for name in SENSITIVITY.names}


def _sensitivity(analysis: Analysis, reach: Reach) -> dict[str, object]:
    truth = {each.with_rate: each.information for each in analysis.reaches if each.name == TRUTH}
    shape = reach.information if reach.template is None else reach.template.information(_zero(analysis), False)
    by_score = _relative(reach.score_information, truth[False])
    template = reach.template
    return {
        "name": reach.name,
        "kind": reach.kind,
        "with_rate": int(reach.with_rate),
        "n_bins": 0 if template is None else template.n_bins,
        "information": _relative(reach.information, truth[reach.with_rate]),
        "information_score": by_score,
        "binning_loss": 1 - _relative(shape, truth[False]) / by_score if by_score > 0 else 0.0,
        "least_expected": 0.0 if template is None else template.expected(_zero(analysis)).min(),
        "n_nuisance": 0 if template is None else len(template.shifts),
    }


def _zero(analysis: Analysis) -> Float[np.ndarray, " theta"]:
    return np.zeros(len(analysis.settings.parameters))


def _relative(part: Float[np.ndarray, "theta theta"], whole: Float[np.ndarray, "theta theta"]) -> float:
    """Geometric mean of the information on independent directions, relative."""
    ratio = max(float(np.linalg.det(part) / np.linalg.det(whole)), 0.0)  # a singular one, up to rounding
    return ratio ** (1 / len(whole))


def coverage_columns(analysis: Analysis) -> dict[str, list]:
    """Columns of the table [coverage]."""
    rows = [
        (reach, level, *reach.experiments.coverage(level), len(reach.experiments.best))
        for reach in analysis.reaches
        if reach.experiments is not None
        for level in analysis.settings.levels
    ]
    return {
        "name": [reach.name for reach, *_ in rows],
        "kind": [reach.kind for reach, *_ in rows],
        "with_rate": [int(reach.with_rate) for reach, *_ in rows],
        "level": [row[1] for row in rows],
        "coverage": [row[2] for row in rows],
        "coverage_error": [row[3] for row in rows],
        "n_experiments": [row[4] for row in rows],
    }


def bins_schema(analysis: Analysis) -> TableSchema:
    """One row for each bin of each observable; expected events are a polynomial in theta."""
    edges = [
        Column(f"{end}_{number}", "1", f"{text} edge in component {number}; an open bin ends at the outermost event")
        for number in (1, 2)
        for end, text in (("low", "lower"), ("high", "upper"))
    ]
    numbers = Column("bin", "1", "number of the bin", kind="int")
    expected = Column("events", "1", "events expected at theta = 0")
    error = Column("events_error", "1", "its error from the number of simulated events")
    terms = [Column(name, "1", f"events for each unit of {text}") for name, text in _terms(analysis)]
    return TableSchema("bins", 1, (NAME, KIND, numbers, *edges, expected, error, *terms))


def _terms(analysis: Analysis) -> list[tuple[str, str]]:
    names = analysis.settings.parameters
    linear = [(f"linear_{name}", name) for name in names]
    first, second = np.triu_indices(len(names))
    pairs = [(names[i], names[j]) for i, j in zip(first.tolist(), second.tolist(), strict=True)]
    return [*linear, *((f"quadratic_{one}_{other}", f"{one} times {other}") for one, other in pairs)]


def bins_columns(analysis: Analysis) -> dict[str, np.ndarray]:
    """Columns of the table [bins]."""
    blocks = [dict(_bins_of(analysis, name)) for name in analysis.templates]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _bins_of(analysis: Analysis, name: str) -> Iterator[tuple[str, np.ndarray]]:
    sums, template = analysis.bins[name], analysis.templates[name]
    n = template.n_bins
    yield "name", np.repeat(name, n)
    yield "kind", np.repeat(sums.observable.kind, n)
    yield "bin", np.arange(n)
    bounds = sums.bounds()
    for place in (0, 1):
        edges = bounds[:, place] if place < bounds.shape[1] else np.zeros((n, 2))
        yield f"low_{place + 1}", edges[:, 0]
        yield f"high_{place + 1}", edges[:, 1]
    coefficients = template.natural()
    yield "events", coefficients[:, 0]
    yield "events_error", np.sqrt(template.variance)
    for number, (term, _) in enumerate(_terms(analysis), start=1):
        yield term, coefficients[:, number]


def warnings(analysis: Analysis) -> Iterator[str]:
    """What a reader of the limits must know, for the log."""
    allowed = analysis.settings.max_nonlinearity
    for row in analysis.limits:
        what = f"{row.name}, {row.parameter}, {'with' if row.with_rate else 'without'} rate, {100 * row.level:g} %"
        if row.nonlinearity > allowed:
            yield (
                f"warning: {what}: the linear approximation ends {100 * row.nonlinearity:.0f} % from the exact "
                f"likelihood, more than {100 * allowed:g} %; do not quote it."
            )
        if row.method == "expected" and not row.interval.is_bounded:
            yield f"warning: {what}: the interval leaves the range that was searched; widen it."
        if row.method == "expected" and not row.interval.is_connected:
            yield f"warning: {what}: another part of the range is allowed as well."
