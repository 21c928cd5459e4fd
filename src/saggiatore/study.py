"""The whole YAML of a study as one spec, and its JSON Schema."""

import json
from pathlib import Path

from pydantic import Field

from saggiatore.files import atomic
from saggiatore.registry import REGISTRY, ProcessSpec, load
from saggiatore.spec import Label, Spec
from saggiatore.steps.control import ControlSection
from saggiatore.steps.distill import FormulasSection
from saggiatore.steps.draws import DrawsSection
from saggiatore.steps.events import EventsSection
from saggiatore.steps.figures import FiguresSection
from saggiatore.steps.information import InformationSection
from saggiatore.steps.models import ModelsSection
from saggiatore.steps.sampler import SamplerSection
from saggiatore.steps.teachers import TeachersSection


class Study(Spec):
    """A study: what is simulated, what is learned from it, which formulas are distilled and what is drawn."""

    title: str = Field(description="one line for the bundle and its readers")
    seed: int = Field(ge=0, description="root of every random stream")
    process: ProcessSpec = Field(description="the hard scattering, its cuts and its theory parameters")
    sampler: dict[Label, SamplerSection] = Field({}, description="importance sampling of the process")
    events: dict[Label, EventsSection] = Field(
        description="events of the process, or of a file that somebody else made"
    )
    models: dict[Label, ModelsSection] = Field({}, description="networks")
    draws: dict[Label, DrawsSection] = Field({}, description="posteriors over networks")
    teachers: dict[Label, TeachersSection] = Field({}, description="tables that formulas are distilled from")
    formulas: dict[Label, FormulasSection] = Field({}, description="symbolic regression")
    information: dict[Label, InformationSection] = Field({}, description="what each score is worth")
    control: dict[Label, ControlSection] = Field({}, description="generated events against true ones")
    figures: dict[Label, FiguresSection] = Field({}, description="figures")


def study_schema() -> dict:
    """JSON Schema of a study, with the names that each process knows (`x-process`)."""
    schema = Study.model_json_schema()
    schema["x-process"] = {name: load("process", name).names() for name in sorted(REGISTRY["process"])}
    return schema


def write_schema(path: Path) -> None:
    """Write the JSON Schema that the workflow validates studies with."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(study_schema(), indent=1) + "\n", encoding="utf-8")
