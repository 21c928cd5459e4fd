"""Limits: bins, likelihoods and intervals against closed forms, the oracle from events to tables, pyhf and HEPData."""

import json
import zipfile
from itertools import product

import numpy as np
import pytest
from oracle import INFORMATION, PDG, events, exact_template, write_events
from scipy.optimize import brentq, minimize

from saggiatore.distill.expression import parse
from saggiatore.distill.formula import Feature, Formula
from saggiatore.errors import EventError, LikelihoodError, StudyError
from saggiatore.integrate.events import VARIED
from saggiatore.integrate.morphing import morphing
from saggiatore.limits.binning import METHODS, binning
from saggiatore.limits.interval import fisher_interval, interval, profile, threshold
from saggiatore.limits.likelihood import asimov, profiled_asimov
from saggiatore.limits.observable import formula_members
from saggiatore.limits.rates import require_agreement
from saggiatore.limits.template import Template, principal_shifts
from saggiatore.limits.workspace import monomial_names, workspace
from saggiatore.tables import read_table

ZERO = np.zeros(1)


def synthetic(n_bins: int = 6, n_shifts: int = 2) -> Template:
    """Squares of amplitudes in one parameter, with shifts and an error from simulation; about 400 events."""
    random = np.random.default_rng(5)
    amplitude = random.normal(0, 0.25, n_bins)
    size = 400 * random.dirichlet(5 * np.ones(n_bins))
    coefficients = size[:, None] * np.stack([np.ones(n_bins), 2 * amplitude, amplitude**2 + 0.02], axis=1)
    shifts = 0.03 * random.normal(size=(n_shifts, n_bins, 1)) * coefficients
    morph = morphing(("c",), {"0": {}, "+": {"c": 2}, "-": {"c": -2}})
    scaled = np.array([1.0, 2.0, 4.0])
    names = tuple(f"posterior_{number}" for number in range(n_shifts))
    return Template(morph, coefficients * scaled, 0.0002 * size**2, shifts * scaled, names)


def heavy_tailed(n_events: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.standard_t(3, (n_events, 2)), random.uniform(0.5, 1.5, n_events)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_bins", [(12,), (5, 4)])
def test_bins_hold_all_events_between_their_edges(method, n_bins):
    values, weights = heavy_tailed()
    values = values[:, : len(n_bins)]
    found = binning(values, weights, n_bins, method)
    index, bounds = found.index(values), found.bounds()
    assert found.n_bins == len(bounds) <= np.prod(n_bins)
    assert set(index) == set(range(found.n_bins))
    assert (values >= bounds[index, :, 0]).all()
    assert (values < bounds[index, :, 1]).all()


def test_lloyd_bins_lose_least():
    """The optimum of the within-bin variance: no method with as many bins is better, equally filled ones are poor."""
    values, weights = heavy_tailed()
    kept = {}
    for method in METHODS:
        index = binning(values[:, :1], weights, (15,), method).index(values[:, :1])
        means = np.bincount(index, weights * values[:, 0]) / np.bincount(index, weights)
        kept[method] = np.average(means[index] ** 2, weights=weights) / np.average(values[:, 0] ** 2, weights=weights)
    assert kept["lloyd"] >= kept["asinh"] > kept["quantile"]
    assert kept["lloyd"] > 0.96
    assert kept["quantile"] < 0.85


def test_few_events_make_few_bins():
    values = np.concatenate([np.random.default_rng(2).normal(size=500), [40.0, 50.0]])[:, None]
    found = binning(values, np.ones(502), (30,), "asinh")
    assert np.bincount(found.index(values)).min() >= 10
    with pytest.raises(LikelihoodError, match="1 values of an observable are not finite"):
        binning(np.array([[1.0], [np.nan]]), np.ones(2), (2,), "lloyd")


def test_a_bin_that_expects_nothing_is_an_error():
    template = synthetic()
    emptied = template.coefficients * (np.arange(6) != 3)[:, None]
    with pytest.raises(LikelihoodError, match=r"bin 4 of 6 expects 0 events at theta = 0.*fewer bins"):
        Template(template.morph, emptied, template.variance)
    falling = template.coefficients.copy()
    falling[2] = [10, 20, 0]
    with pytest.raises(LikelihoodError, match=r"bin 3 of 6 expects -10 events at {'c': -2.0}.*smaller range"):
        asimov(Template(template.morph, falling, template.variance), np.array([[-2.0], [0.0]]), True)


@pytest.mark.parametrize("with_rate", [False, True])
def test_information_is_the_curvature_of_the_likelihood(with_rate):
    template = synthetic()
    step = 1e-3
    q = asimov(template, np.array([[-step], [0.0], [step]]), with_rate)
    assert q[1] == pytest.approx(0, abs=1e-12)
    (curvature,) = template.information(ZERO, with_rate).ravel()
    assert (q[0] + q[2]) / 2 / step**2 == pytest.approx(curvature, rel=1e-4)


def test_the_oracle_has_its_closed_information():
    """Many bins keep all of 16/3 (1 - pi/4) an event, two keep one, which is what the sign keeps; q is exact."""
    many, two = (exact_template(np.linspace(-1, 1, n + 1), 100.0) for n in (400, 2))
    assert many.information(ZERO, False)[0, 0] == pytest.approx(100 * INFORMATION, rel=1e-4)
    assert two.information(ZERO, True)[0, 0] == pytest.approx(100.0)
    (q,) = asimov(two, np.array([[0.2]]), True)
    assert q == pytest.approx(-100 * np.log(1.2 * 0.8))


@pytest.mark.parametrize("with_rate", [False, True])
def test_profiling_finds_the_minimum_over_nuisance_parameters(with_rate):
    template, points = synthetic(), np.array([[-1.2], [0.4], [1.5]])
    counts = template.expected(ZERO)

    def value(eta: np.ndarray, theta: np.ndarray) -> float:
        monomials = template.monomials(theta)
        expected = template.expected(theta) + np.sqrt(template.variance) * eta[:6]
        expected = expected + np.einsum("m,jbm,j->b", monomials, template.shifts, eta[6:8])
        expected = expected * (1 if with_rate else counts.sum() / expected.sum())
        return 2 * (expected - counts + counts * np.log(counts / expected)).sum() + (eta**2).sum()

    slow = [minimize(value, np.zeros(8), (point,), tol=1e-10).fun for point in points]
    found = profiled_asimov(template, points, with_rate)
    assert found == pytest.approx(slow, rel=1e-5)
    assert (found < asimov(template, points, with_rate)).all()


def test_intervals_of_a_parabola_and_of_two_valleys():
    theta = np.linspace(-4, 4, 81)
    found = interval(theta, theta**2 / 0.5**2, 0.0, 0.95)
    assert (found.low, found.high) == pytest.approx((-0.5 * 1.95996, 0.5 * 1.95996), rel=1e-5)
    assert found.is_bounded
    assert found.is_connected
    valleys = interval(theta, 40 * theta**2 * (theta - 2) ** 2, 0.0, 0.68)
    assert not valleys.is_connected
    assert valleys.high < 1
    open_end = interval(theta, np.where(theta > 0, theta**2, 0.01 * theta**2), 0.0, 0.95)
    assert not open_end.is_bounded
    assert open_end.low == -4


def test_the_other_parameter_is_free():
    """Of a Gaussian: the interval follows the inverse of the information, and a degenerate one is open."""
    information = np.array([[4.0, 1.5], [1.5, 1.0]])
    axes = (np.linspace(-4, 4, 61), np.linspace(-8, 8, 61))
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    q = np.einsum("...i,ij,...j->...", points, information, points)
    for place in (0, 1):
        found = interval(axes[place], profile(axes, q, place), 0.0, 0.68)
        assert found.high == pytest.approx(fisher_interval(information, place, 0.68), rel=1e-3)
    assert fisher_interval(np.ones((2, 2)), 0, 0.68) == np.inf


def test_shifts_stand_for_the_covariance_of_variations():
    random = np.random.default_rng(3)
    centre, direction = random.uniform(5, 10, (4, 3)), random.normal(size=(4, 3))
    lots = random.normal(size=200)
    (found,) = principal_shifts([centre + lot * direction for lot in lots], centre, len(lots))
    assert np.abs(found) == pytest.approx(np.abs(direction) * np.sqrt((lots**2).mean()))
    assert principal_shifts([centre, centre], centre, 2).shape == (0, 4, 3)


def formula(name: str = "a_fb") -> Formula:
    """Nearly the score of the oracle."""
    text = parse("a*cos_theta_mu/(b + cos_theta_mu**2)")
    features = (Feature("cos_theta_mu"),)
    return Formula(name, features, text, {"a": 2.6, "b": 0.97}, np.array([[4e-4, 1e-4], [1e-4, 9e-4]]))


def test_members_of_a_formula_follow_its_covariance():
    """n = 4,000 members: the spread agrees with linear propagation within 5 errors and its curvature."""
    events = {"cos_theta_mu": np.array([-0.8, 0.1, 0.5])}
    found = formula_members(formula(), 4000, seed=1)(events)
    assert found.shape == (4000, 3)
    deviation = formula().std()
    for place, c in enumerate(events["cos_theta_mu"]):
        assert found[:, place].std() == pytest.approx(float(deviation(np.array([c]))), rel=5 / 8000**0.5)
    assert formula_members(Formula("a", formula().features, parse("cos_theta_mu")), 5, 1) is None


SECTION = {
    "events": "test",
    "train": "train",
    "range": {"a_fb": [-0.7, 0.7]},
    "luminosity": "20 fb^-1",
    "efficiency": 0.001,
    "formulas": ["formula"],
    "forms": {"linear": "a*cos_theta_mu"},
    "histograms": [["cos_theta_mu"]],
    "signs": ["cos_theta_mu"],
    "n_bins": 20,
    "n_members": 4,
    "n_experiments": 200,
}
OUTPUTS = ("limits", "sensitivity", "coverage", "scan", "bins", "workspace")


def step(folder, formula_file=None, **changes):
    from saggiatore.job import Job
    from saggiatore.steps.limits import LimitsSection, run

    content = {"study": "toy", "stage": "limits", "label": "one", "seed": 1, "section": SECTION | changes}
    job = Job[LimitsSection].model_validate(content | {"process": {"kind": "asymmetry"}})
    path = formula_file or folder / "formula.formula.json"
    inputs = {
        "events": folder / "test.parquet",
        "train": folder / "train.parquet",
        "models": [],
        "draws": [],
        "ratios": [],
        "ratio_draws": [],
    }
    outputs = {name: folder / f"one.{name}.{'json' if name == 'workspace' else 'parquet'}" for name in OUTPUTS}
    run(job, code="0123", formulas=[path], **inputs, **outputs)
    return outputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    write_events(folder / "train.parquet", 20_000, 11)
    write_events(folder / "test.parquet", 40_000, 12)
    formula().write(folder / "formula.formula.json")
    return folder


@pytest.fixture(scope="module")
def tables(folder):
    outputs = step(folder)
    opened = {name: read_table(path, name).data for name, path in outputs.items() if name != "workspace"}
    return opened | {"paths": outputs}


def test_no_observable_does_better_than_the_whole_events(tables):
    """Cramer-Rao with 20 events expected; the distance of bins from the truth is known, up to 40,000 events' noise."""
    rows = tables["sensitivity"].set_index(["name", "with_rate"]).information
    assert rows["truth", 0] == 1
    assert rows["formula", 0] == pytest.approx(0.9975, abs=0.004)
    assert rows["sign_cos_theta_mu", 1] == pytest.approx(1 / INFORMATION, abs=0.02)
    assert rows["rate", 1] < 1e-3
    assert (rows <= 1.0001).all()
    at_95 = tables["limits"].query("level == 0.95 and method == 'expected'")
    widths = (at_95.high - at_95.low).groupby([at_95.name, at_95.with_rate]).min()
    for with_rate in (0, 1):
        found = widths.xs(with_rate, level=1)
        assert found.idxmin() == "truth"
        assert found["truth"] < found["formula"] < found["sign_cos_theta_mu"]
    linear = tables["limits"].query("level == 0.68 and method == 'fisher' and name == 'truth' and with_rate == 0")
    assert linear.high.item() == pytest.approx((threshold(0.68, 1) / 20 / INFORMATION) ** 0.5, rel=0.02)


def test_a_linear_approximation_that_fails_is_marked(tables):
    """20 events reach half of the range in which the rate is positive; with 20,000 nothing is left to mark."""
    fisher = tables["limits"].query("method == 'fisher'")
    assert not fisher[(fisher.level == 0.997) & (fisher["name"] != "rate")].is_linear.any()
    small = fisher.query("level == 0.68 and name == 'truth'")
    assert small.is_linear.all()
    exact = tables["limits"].query("method == 'expected' and level == 0.68 and name == 'truth' and with_rate == 0")
    one, other = small[small.with_rate == 0].high.item(), exact.high.item()
    assert small.nonlinearity.iloc[0] == pytest.approx(abs(one - other) / max(one, other), abs=2e-3)


def test_the_band_of_a_posterior_and_nuisance_parameters_widen_limits(tables):
    rows = tables["limits"].query("level == 0.68 and with_rate == 0").set_index(["name", "method"])
    assert 0 < rows.high_error["formula", "expected"] < 0.01
    assert rows.high_error["histogram_cos_theta_mu", "expected"] == 0
    profiled, expected = (rows.high.xs(method, level=1) for method in ("profiled", "expected"))
    assert (profiled > expected[profiled.index]).all()
    assert tables["sensitivity"].set_index("name").n_nuisance["formula"].min() >= 1
    medians = rows.xs("experiments", level=1)
    assert (
        np.abs(medians.high["formula"] - rows.high["formula", "expected"]) < 5 * medians.high_error / 200**0.5 + 0.02
    ).all()


def test_tables_of_limits_agree_with_one_another(tables):
    coverage = tables["coverage"].query("name == 'formula'")
    assert (np.abs(coverage.coverage - coverage.level) < 5 * coverage.coverage_error + 0.03).all()  # 20 events
    bins = tables["bins"].groupby("name").events.sum()
    assert bins.to_numpy() == pytest.approx(20.0)
    scan = tables["scan"].query("name == 'formula' and with_rate == 1")
    assert scan.q.min() == pytest.approx(0, abs=1e-9)
    assert (scan.q_profiled <= scan.q + 1e-9).all()
    assert scan.theta_a_fb[scan.q.idxmin()] == 0


TILTS = {"muf2": 0.1, "muf0p5": -0.1, "member1": 0.2, "member2": 0.0, "member3": -0.2}


def tilted(columns: dict, tilt: float) -> np.ndarray:
    """Weights with more or fewer events along the beam: even in the cosine, so that the score stays what it is."""
    return columns["weight"] * (1 + tilt * columns["cos_theta_mu"] ** 2)


def with_variations(columns: dict) -> dict:
    """Two scales, a tenth of c^2 to either side, and three members whose standard deviation is a fifth of it."""
    return columns | {f"{VARIED}{name}": tilted(columns, tilt) for name, tilt in TILTS.items()}


def test_theory_variations_of_events_are_nuisance_parameters_of_the_workspace(folder, tmp_path, pyhf):
    """At one standard deviation pyhf expects the histograms of the varied weights, at a_fb = 0 and elsewhere."""
    (tmp_path / "train.parquet").write_bytes((folder / "train.parquet").read_bytes())
    write_events(tmp_path / "test.parquet", 3000, 13, with_variations)
    asked = {"signs": [], "forms": {}, "n_bins": 4, "n_members": 2, "n_experiments": 0, "n_points": 21}
    outputs = step(tmp_path, folder / "formula.formula.json", workspace="histogram_cos_theta_mu", **asked)
    bins = read_table(outputs["bins"], "bins").data.query("name == 'histogram_cos_theta_mu'")
    columns, edges = events(3000, 13), [*bins.low_1, 1.0]

    def expected(a_fb: float, tilt: float) -> list[float]:
        weights = 20 * tilted(columns, tilt) * (1 + a_fb * columns["joint_score_a_fb"])  # the rate is linear in a_fb
        return np.histogram(columns["cos_theta_mu"], edges, weights=weights)[0].tolist()

    spec = pyhf.Workspace(json.loads(outputs["workspace"].read_text()))
    model = spec.model(measurement_name="linear")
    assert {"scale_0", "parton_density_0"} < set(model.config.par_order)
    assert not {"scale_1", "parton_density_1"} & set(model.config.par_order)
    for a_fb, (nuisance, tilt) in product((0.0, 0.3), (("scale_0", 0.1), ("parton_density_0", 0.2))):
        found = []
        for side in (-1.0, 1.0):
            values = np.array(model.config.suggested_init())
            values[[model.config.poi_index, model.config.par_slice(nuisance).start]] = a_fb, side
            found.append(list(model.expected_actualdata(values)))
        down, up = sorted(found, key=sum)  # which side is up is a matter of convention
        assert up == pytest.approx(expected(a_fb, tilt))
        assert down == pytest.approx(expected(a_fb, -tilt))


def test_scores_that_agree_exactly_are_accepted():
    """The distance is a difference of sums, and below zero by rounding."""
    require_agreement(-1e-12, 1.0, ("a_fb",))
    with pytest.raises(EventError, match=r"lie 0\.1 "):
        require_agreement(0.01, 1.0, ("a_fb",))


def test_wrong_requests_are_refused(folder, tmp_path):
    write_events(tmp_path / "moved.parquet", 200, 1, lambda columns: columns | {"theta_a_fb": np.full(200, 0.1)})
    write_events(tmp_path / "other.parquet", 2000, 1, lambda c: c | {"parton_score_a_fb": 1.1 * c["parton_score_a_fb"]})
    write_events(tmp_path / "flavour.parquet", 200, 1, lambda columns: columns | {"leg2_pdg": np.full(200, 15)})
    faults = {
        "moved": (StudyError, "theta_a_fb are not zero"),
        "other": (EventError, r"lie 0.0\d+ \(root mean square, relative\)"),
        "flavour": (EventError, rf"legs \({PDG[0]}, {PDG[1]}, 15"),
    }
    for name, (kind, message) in faults.items():
        (tmp_path / "test.parquet").write_bytes((tmp_path / f"{name}.parquet").read_bytes())
        (tmp_path / "train.parquet").write_bytes((folder / "train.parquet").read_bytes())
        with pytest.raises(kind, match=message):
            step(tmp_path, folder / "formula.formula.json")
    formula("other").write(tmp_path / "other.formula.json")
    with pytest.raises(StudyError, match="'formula' has the score of 'other', expected that of 'a_fb'"):
        step(folder, tmp_path / "other.formula.json")
    with pytest.raises(StudyError, match="no observable is called 'network'; there are formula, linear"):
        step(folder, workspace="network")
    with pytest.raises(ValueError, match="expected ranges that hold zero"):
        step(folder, range={"a_fb": [0.1, 0.7]})
    with pytest.raises(ValueError, match="forms are for sections of one parameter"):
        step(folder, range={"a_fb": [-0.5, 0.5], "b": [-0.5, 0.5]})
    with pytest.raises(ValueError, match="expected one or two observables"):
        step(folder, histograms=[["cos_theta_mu"] * 3])


def test_a_parameter_without_a_polynomial_is_refused():
    from saggiatore.limits.rates import rates
    from saggiatore.physics.asymmetry import AsymmetrySpec

    with pytest.raises(StudyError, match=r"limits on z_prime_mass: expected parameters .* degree two \(a_fb\)"):
        rates(AsymmetrySpec().build(), {"z_prime_mass": 1.0}, True)


@pytest.fixture
def pyhf():
    return pytest.importorskip("pyhf", reason="pyhf is not installed")


def test_pyhf_finds_the_same_exact_likelihood(pyhf):
    """The quadratic measurement: c_squared follows c, and pyhf profiles all nuisance parameters."""
    template = synthetic()
    spec = pyhf.Workspace(workspace("formula", template, {"c": (-2.0, 2.0)}))
    model = spec.model(measurement_name="quadratic")
    data = spec.data(model)
    squared, place = model.config.par_order.index("c_squared"), model.config.poi_index

    def q(c: float) -> float:
        start, fixed = model.config.suggested_init(), model.config.suggested_fixed()
        squared_place = model.config.par_slice("c_squared").start
        start[place], start[squared_place], fixed[place], fixed[squared_place] = c, c**2, True, True
        bounds = model.config.suggested_bounds()
        fitted = pyhf.infer.mle.fit(data, model, start, bounds, fixed, return_fitted_val=True)[1]
        return float(fitted)

    assert squared >= 0
    at = np.array([-0.3, -0.1, 0.1, 0.3])
    found = np.array([q(c) for c in at]) - q(0.0)
    # pyhf multiplies by the error of simulation what this adds: they differ at second order in nuisance parameters
    assert found == pytest.approx(profiled_asimov(template, at[:, None], True), rel=2e-3, abs=1e-4)
    high = brentq(lambda c: q(c) - q(0.0) - threshold(0.95, 1), 0.0, 1.0, xtol=1e-4)
    axis = np.linspace(-2, 2, 201)
    ours = interval(axis, profiled_asimov(template, axis[:, None], True), 0.0, 0.95)
    assert high == pytest.approx(ours.high, rel=2e-3)


def test_the_upper_limit_of_pyhf_is_the_end_of_the_interval(pyhf):
    """The linear measurement: the median expected CLs limit at 95 % is where q = 1.96^2 (arXiv:1007.1727, sec. 4.1)."""
    template = synthetic(n_bins=4, n_shifts=1)
    template.coefficients[:, 2] = 0
    template.shifts[..., 2] = 0
    spec = pyhf.Workspace(workspace("formula", template, {"c": (-2.0, 2.0)}))
    model = spec.model(measurement_name="linear")
    _, expected = pyhf.infer.intervals.upper_limits.toms748_scan(
        spec.data(model), model, 0.05, 0.6, level=0.05, rtol=1e-3, test_stat="q"
    )
    axis = np.linspace(-0.6, 0.6, 301)
    ours = interval(axis, profiled_asimov(template, axis[:, None], True), 0.0, 0.95)
    assert float(expected[2]) == pytest.approx(ours.high, rel=2e-3)


def test_the_workspace_of_a_study_is_valid(tables, pyhf):
    content = json.loads(tables["paths"]["workspace"].read_text())
    spec = pyhf.Workspace(content)  # validated against the schema
    assert spec.samples == ["a_fb", "a_fb_squared", "standard_model"]
    model = spec.model(measurement_name="linear")
    assert model.config.poi_name == "a_fb"
    assert sum(spec.data(model, include_auxdata=False)) == pytest.approx(20.0)
    assert any(name.startswith("posterior_") for name in model.config.par_order)
    assert monomial_names(("a", "b")) == ["a", "b", "a_squared", "a_b", "b_squared"]


def write_numbers(folder):
    path = folder / "numbers.json"
    path.write_text('{"figures": {}}')
    return path


def test_published_tables_are_a_valid_submission(tables, tmp_path):
    validator = pytest.importorskip("hepdata_validator.full_submission_validator").FullSubmissionValidator()
    from saggiatore.steps.hepdata import run

    names = ("limits", "sensitivity", "coverage", "bins")
    paths = [tables["paths"][name] for name in names]
    for out in ("one.zip", "two.zip"):
        more: dict[str, list] = {"formulas": [], "figures": [], "drawn": []}
        run(study="toy", code="0123", tables=paths, **more, numbers=write_numbers(tmp_path), out=tmp_path / out)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert validator.validate(archive=str(tmp_path / "one.zip")), validator.get_messages()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert set(archive.namelist()) == {"submission.yaml", *(f"one_{name}.yaml" for name in names)}
        import yaml

        found = yaml.safe_load(archive.read("one_limits.yaml"))
    keys = [variable["header"]["name"] for variable in found["independent_variables"]]
    assert keys == ["name", "kind", "parameter", "with_rate", "method", "level"]
    dependent = {variable["header"]["name"]: variable for variable in found["dependent_variables"]}
    rows = tables["limits"]
    assert [entry["value"] for entry in dependent["high"]["values"]] == pytest.approx(rows.high.tolist(), rel=1e-5)
    stated = [entry["errors"][0]["symerror"] if "errors" in entry else 0.0 for entry in dependent["high"]["values"]]
    assert stated == pytest.approx(rows.high_error.tolist(), rel=1e-5)
