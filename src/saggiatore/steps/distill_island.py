"""One search for formulas that reproduce a teacher. This process never imports jax, which PySR's Julia cannot bear."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from saggiatore.distill.construction import Construction, search
from saggiatore.distill.engine import WIDTH, Engine, pareto_front
from saggiatore.distill.hall_of_fame import write_hall_of_fame
from saggiatore.distill.symmetry import SymmetrySpec
from saggiatore.distill.teacher import Teacher
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.registry import EngineSpec
from saggiatore.spec import Section, TeacherLabel
from saggiatore.tables import Column


class SearchSection(Section):
    """What a search sees of a formula; neither how many searches there are, nor what becomes of them."""

    teacher: TeacherLabel = Field(description="table that the engine learns from")
    engine: EngineSpec = Field(description="symbolic-regression engine")
    symmetry: SymmetrySpec | None = Field(
        None, description="symmetries that every formula has by construction; without it, see `selection`"
    )

    def construction(self, features: Iterable[Column]) -> Construction | None:
        """How formulas of `features` get the demanded symmetries; None where none is demanded."""
        units = {feature.name: feature.unit for feature in features}
        return Construction.of(self.symmetry, units) if self.symmetry else None


def run(job: Job[SearchSection], *, code: str, teacher: Path, shard: int, out: Path) -> None:
    """Write the front of one search; files that the engine leaves go to a folder beside it."""
    taught = Teacher.read(teacher)
    engine: Engine = job.section.engine.build()
    version = engine.version()
    folder = out.with_name(f"{out.stem}.{engine.name}")
    construction = job.section.construction(taught.features)
    forms = search(engine, taught.problem, construction, job.stream("search", shard), folder, code)
    front = pareto_front(taught.problem, forms, engine.max_complexity, WIDTH)
    made = provenance(job.model_dump(mode="json"), code) | {"shard": shard}
    write_hall_of_fame(out, front, (engine.name, version), taught, made)
