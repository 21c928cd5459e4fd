"""One search for formulas that reproduce a teacher. This process never imports jax, which PySR's Julia cannot bear."""

from pathlib import Path

from pydantic import Field

from saggiatore.distill.engine import Engine, pareto_front
from saggiatore.distill.hall_of_fame import write_hall_of_fame
from saggiatore.distill.teacher import Teacher
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.registry import EngineSpec
from saggiatore.spec import Section, TeacherLabel


class SearchSection(Section):
    """What a search sees of a formula; neither how many searches there are, nor what becomes of them."""

    teacher: TeacherLabel = Field(description="table that the engine learns from")
    engine: EngineSpec = Field(description="symbolic-regression engine")


def run(job: Job[SearchSection], *, code: str, teacher: Path, shard: int, out: Path) -> None:
    """Write the front of one search; files that the engine leaves go to a folder beside it."""
    taught = Teacher.read(teacher)
    engine: Engine = job.section.engine.build()
    version = engine.version()
    folder = out.with_name(f"{out.stem}.{engine.name}")
    forms = engine.search(taught.problem, job.stream("search", shard), folder, code)
    front = pareto_front(taught.problem, forms, engine.max_complexity)
    made = provenance(job.model_dump(mode="json"), code) | {"shard": shard}
    write_hall_of_fame(out, front, (engine.name, version), taught, made)
