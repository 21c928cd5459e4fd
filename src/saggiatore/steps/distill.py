"""Search for formulas that reproduce a teacher. This process never imports jax, which PySR's Julia cannot bear."""

from pathlib import Path

from pydantic import Field

from saggiatore.distill.engine import Engine, pareto_front
from saggiatore.distill.hall_of_fame import write_hall_of_fame
from saggiatore.distill.select import SelectionSpec
from saggiatore.distill.teacher import Teacher
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.registry import EngineSpec
from saggiatore.spec import EventsLabel, ParameterName, Section, TeacherLabel


class FormulasSection(Section):
    """From a teacher to one formula: search, refit, selection."""

    teacher: TeacherLabel = Field(description="table that the engine learns from")
    train: EventsLabel = Field(description="events to whose joint score the constants are refitted")
    select: EventsLabel = Field(description="held-out events on which the formula is chosen")
    engine: EngineSpec = Field(description="symbolic-regression engine")
    selection: SelectionSpec = Field(SelectionSpec(), description="how the formula is chosen")
    parameter: ParameterName | None = Field(
        None, description="theory parameter of the score: the teacher's, which is checked if it is named here"
    )


def run(job: Job[FormulasSection], *, code: str, teacher: Path, hall_of_fame: Path) -> None:
    """Write the engine's hall of fame; files that the engine leaves go to a folder beside it."""
    taught = Teacher.read(teacher)
    engine: Engine = job.section.engine.build()
    version = engine.version()
    folder = hall_of_fame.with_name(f"{job.label}.{engine.name}")
    forms = engine.search(taught.problem, job.stream("search"), folder, code)
    candidates = pareto_front(taught.problem, forms, engine.max_complexity)
    labels = {feature.name: feature.label or rf"\mathrm{{{feature.name}}}" for feature in taught.features}
    made = provenance(job.model_dump(mode="json"), code) | {"features": [vars(feature) for feature in taught.features]}
    made |= {"parameter": taught.parameter}
    chi2 = [taught.chi2_of_loss(candidate.loss) for candidate in candidates]
    write_hall_of_fame(hall_of_fame, candidates, (engine.name, version), labels, made, chi2)
