"""Expected limits on one or two theory parameters at a luminosity, and how much of them each observable reaches."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field
from tqdm import tqdm

from saggiatore.constraint import Constraint
from saggiatore.distill.form import fit_form
from saggiatore.distill.formula import Formula
from saggiatore.errors import StudyError
from saggiatore.infer.batches import WEIGHT
from saggiatore.job import Job
from saggiatore.limits import observable as parts
from saggiatore.limits import report
from saggiatore.limits.analysis import Analysis, Settings
from saggiatore.limits.binning import Method
from saggiatore.limits.expectation import Expectation
from saggiatore.limits.first_events import first_events
from saggiatore.limits.learned import ratio_components, score_components
from saggiatore.limits.observable import Component, Observable, grouped, observable, require_distinct
from saggiatore.limits.rates import Rates, rates
from saggiatore.limits.statistic import of_formula
from saggiatore.limits.workspace import workspace as as_workspace
from saggiatore.limits.workspace import write_workspace
from saggiatore.provenance import provenance
from saggiatore.spec import (
    DensityLabel,
    DrawsLabel,
    EventsLabel,
    Form,
    FormulaLabel,
    Label,
    ModelLabel,
    ObservableName,
    ParameterName,
    Section,
)
from saggiatore.tables import iterate_table, read_header, write_table
from saggiatore.tasks.columns import flavour_variance_column, joint_score_column, parton_score_column, theta_column
from saggiatore.units import PB_FB, Luminosity


class LimitsSection(Section):
    """Limits on one or two parameters from several observables, expected if all are zero."""

    events: EventsLabel = Field(
        description="events at theta = 0 that make the expectation; no score was fitted to them"
    )
    train: EventsLabel = Field(description="events that refit the forms and place the edges of bins")
    range: dict[ParameterName, tuple[float, float]] = Field(
        min_length=1, max_length=2, description="the parameters, and between which values ends of intervals are sought"
    )
    luminosity: Luminosity = Field(gt=0, description="integrated luminosity")
    efficiency: float = Field(
        1, gt=0, le=1, description="fraction of the events that is kept: branching ratio, acceptance"
    )
    models: tuple[ModelLabel, ...] = Field((), description="networks, one for each parameter in a row")
    draws: tuple[DrawsLabel, ...] = Field((), description="posterior of each of the models; none, or as many as models")
    is_coupled: bool = Field(
        False,
        description="whether draws of several scores vary together: of last_layer as their residuals on `train` do, "
        "of bootstrapped replicas as the events that they saw",
    )
    ratios: tuple[ModelLabel, ...] = Field((), description="learned likelihood ratios; one parameter only")
    ratio_posteriors: tuple[DensityLabel, ...] = Field(
        (), description="posteriors of some of the ratios, whose draws make the bands of their limits"
    )
    ratios_at: tuple[float, ...] = Field(
        (), max_length=2, description="one or two values of the parameter, at which log r is binned"
    )
    formulas: tuple[FormulaLabel, ...] = Field((), description="formulas, one for each parameter in a row")
    forms: dict[Label, Form] = Field(
        {}, description="expressions with free constants, to be refitted; one parameter only"
    )
    histograms: tuple[tuple[ObservableName, ...], ...] = Field(
        (), description="one or two observables, binned together"
    )
    signs: tuple[ObservableName, ...] = Field((), description="observables whose sign makes two bins")
    levels: tuple[float, ...] = Field((0.68, 0.95, 0.997), min_length=1, description="probabilities of the intervals")
    binning: Method = Field(
        "lloyd",
        description="edges: of least variance within bins (lloyd), uniform in asinh, or equally filled (quantile)",
    )
    n_bins: int = Field(30, ge=2, le=200, description="bins of an observable of one component, at most")
    n_bins_each: int = Field(8, ge=2, le=40, description="bins along each of two components, at most")
    n_fit: int = Field(100_000, ge=100, description="events of `train` that are used, at most")
    n_members: int = Field(16, ge=2, le=500, description="draws of each posterior whose limits make the band")
    n_experiments: int = Field(2000, ge=0, description="pseudo-experiments for each observable")
    n_points: int = Field(0, ge=0, le=2001, description="values along each parameter; 0: 401 of one, 51 of each of two")
    workspace: Label | None = Field(
        None,
        description="observable whose likelihood is exported for pyhf; the first formula if absent, or else the first",
    )
    max_nonlinearity: float = Field(
        0.1,
        gt=0,
        description="relative distance of an end of an interval from its linear approximation that is reported",
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "not draws or len(draws) == len(models)",
            "draws names {draws}, expected one posterior for each of the models {models}.",
        ),
        *(
            Constraint(
                f"len(range) == 1 or not {name}",
                f"{name} are for sections of one parameter, got two in `range`; leave the {name} out.",
            )
            for name in ("forms", "ratios")
        ),
        Constraint(
            "bool(ratios) == bool(ratios_at) and 0 not in ratios_at",
            "ratios_at is {ratios_at}, expected values other than zero, with `ratios`.",
        ),
        Constraint(
            "all(low < 0 < high for low, high in range.values())", "range is {range}, expected ranges that hold zero."
        ),
        Constraint(
            "all(len(features) in (1, 2) for features in histograms)",
            "histograms: got {histograms}, expected one or two observables each.",
        ),
    )


def run(
    job: Job[LimitsSection],
    *,
    code: str,
    events: Path,
    train: Path,
    models: list[Path],
    draws: list[Path],
    ratios: list[Path],
    ratio_draws: list[Path],
    formulas: list[Path],
    limits: Path,
    sensitivity: Path,
    coverage: Path,
    scan: Path,
    bins: Path,
    workspace: Path,
) -> None:
    """Write expected limits, sensitivity, coverage, scans, binned expectations and a HistFactory workspace."""
    section = job.section
    found = _rates(job, events)
    observables = _observables(job, train, models, draws, ratios, ratio_draws, formulas)
    settings = Settings.of(section.range, section.levels, section.n_points, section.max_nonlinearity)
    expectation = Expectation(found, observables, settings.points, section.luminosity * section.efficiency * PB_FB)
    for batch in tqdm(iterate_table(events, "events", 16384, require=_columns(section)), "events", unit="batch"):
        expectation.add(batch)
    analysis = Analysis(expectation, found, settings, section.n_experiments, job.stream)
    made = provenance(job.model_dump(mode="json"), code)
    write_table(limits, report.LIMITS, report.limits_columns(analysis), made)
    write_table(sensitivity, report.SENSITIVITY, report.sensitivity_columns(analysis), made)
    write_table(coverage, report.COVERAGE, report.coverage_columns(analysis), made)
    write_table(scan, report.scan_schema(analysis), report.scan_columns(analysis), made)
    write_table(bins, report.bins_schema(analysis), report.bins_columns(analysis), made)
    chosen = [name for name, sums in analysis.bins.items() if sums.observable.kind == "formula"] or list(analysis.bins)
    exported = section.workspace or chosen[0]
    if exported not in analysis.templates:
        raise StudyError(f"workspace: no observable is called '{exported}'; there are {', '.join(analysis.templates)}.")
    write_workspace(workspace, as_workspace(exported, analysis.templates[exported], section.range))
    for line in report.warnings(analysis):
        tqdm.write(line)


def _columns(section: LimitsSection) -> list:
    kinds = (joint_score_column, parton_score_column, flavour_variance_column)
    return [WEIGHT, *(kind(name) for name in section.range for kind in kinds)]


def _rates(job: Job[LimitsSection], events: Path) -> Rates:
    """Rates of the events, which must hold at theta = 0."""
    process = job.process_spec().build()
    names = [theta_column(name).name for name in process.parameters]
    for batch in iterate_table(events, "events"):
        moved = [name for name in names if (batch[name] != 0).any()]
        if moved:
            raise StudyError(
                f"{events}: {', '.join(moved)} are not zero, expected events at theta = 0, where limits are expected."
            )
    _, header = read_header(events, "events")
    made = header["spec"]["section"]
    is_averaged = made.get("source", "process") == "process" or bool(made.get("average_flavours"))
    scales = {name: max(abs(low), abs(high)) for name, (low, high) in job.section.range.items()}
    return rates(process, scales, is_averaged)


def _observables(
    job: Job[LimitsSection],
    train: Path,
    models: list[Path],
    draws: list[Path],
    ratios: list[Path],
    ratio_draws: list[Path],
    formulas: list[Path],
) -> list[Observable]:
    section = job.section
    events = first_events(train, section.n_fit, _columns(section))
    columns = {str(name): column.to_numpy() for name, column in events.items()}
    order, n_theta = list(section.range), len(section.range)
    named, learned = (dict(zip(*each, strict=True)) for each in ((section.models, models), (section.ratios, ratios)))
    scores = score_components(named, draws, order, section.n_members, train if section.is_coupled else None)
    n_bins = {1: (section.n_bins,), 2: (section.n_bins_each, section.n_bins_each)}
    together = [
        *grouped(list(scores), n_theta, "models"),
        *ratio_components(learned, ratio_draws, order[0], section.ratios_at, section.n_members),
        *grouped(list(_formulas(job, formulas)), n_theta, "formulas"),
        *((component,) for component in _forms(job, columns)),
        *(tuple(parts.of_feature(name) for name in features) for features in section.histograms),
        *((parts.of_sign(name),) for name in section.signs),
        (parts.of_nothing(),),
    ]
    found = [
        observable(components, columns, columns[WEIGHT.name], n_bins, section.binning)
        for components in tqdm(together, "bins", mininterval=1)
    ]
    require_distinct(found)
    return found


def _formulas(job: Job[LimitsSection], paths: list[Path]) -> Iterator[Component]:
    order = list(job.section.range)
    for place, (label, path) in enumerate(zip(job.section.formulas, paths, strict=True)):
        formula = Formula.read(path)
        wanted = order[place % len(order)]
        if formula.name != wanted:
            raise StudyError(f"formulas: '{label}' has the score of '{formula.name}', expected that of '{wanted}'.")
        members = parts.formula_members(formula, job.section.n_members, job.stream("members", label))
        yield parts.of_statistic(of_formula(label, "formula", formula), members)


def _forms(job: Job[LimitsSection], columns: dict[str, np.ndarray]) -> Iterator[Component]:
    section = job.section
    if not section.forms:
        return
    (parameter,) = section.range
    score = columns[parton_score_column(parameter).name]
    names = [name for name in columns if name in job.process_spec().names()["observable"]]
    x = np.stack([columns[name] for name in names], axis=1)
    for name, form in tqdm(section.forms.items(), "refit forms", mininterval=1):
        formula = fit_form(form, names, x, score, columns[WEIGHT.name], parameter)
        members = parts.formula_members(formula, section.n_members, job.stream("members", name))
        yield parts.of_statistic(of_formula(name, "form", formula), members)
