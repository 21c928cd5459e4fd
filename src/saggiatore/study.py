"""The whole YAML of a study as one spec, and its JSON Schema."""

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from saggiatore.files import atomic
from saggiatore.physics.variation import AbstractHadronSpec
from saggiatore.registry import REGISTRY, ProcessSpec, load
from saggiatore.spec import Label, Spec
from saggiatore.steps.accuracy import AccuracySection
from saggiatore.steps.amplification import AmplificationSection
from saggiatore.steps.control import ControlSection
from saggiatore.steps.densities import DensitiesSection
from saggiatore.steps.distill import FormulasSection
from saggiatore.steps.draws import DrawsSection
from saggiatore.steps.events import EventsSection, Variations
from saggiatore.steps.figures import FiguresSection
from saggiatore.steps.information import InformationSection
from saggiatore.steps.limits import LimitsSection
from saggiatore.steps.models import ModelsSection
from saggiatore.steps.predictive import PredictiveSection
from saggiatore.steps.ratios import RatiosSection
from saggiatore.steps.sampler import SamplerSection
from saggiatore.steps.structures_draw import StructuresSection
from saggiatore.steps.teachers import TeachersSection


class Author(Spec):
    """A person who stands for the study."""

    name: str = Field(min_length=1, description="Family name, Given names")
    affiliation: str = Field("", description="institution")
    orcid: str = Field("", pattern=r"^(\d{4}-\d{4}-\d{4}-\d{3}[\dX])?$", description="such as 0000-0002-1825-0097")


class Study(Spec):
    """A study: what is simulated, what is learned from it, which formulas are distilled and what is drawn."""

    title: str = Field(description="one line for the bundle and its readers")
    authors: tuple[Author, ...] = Field((), description="of the archive; those of CITATION.cff, where none are given")
    licence: str = Field(
        "", pattern=r"^[\w.+-]*$", description="of the archive, by its SPDX name; that of CITATION.cff, where empty"
    )
    doi: str = Field("", pattern=r"^(10\.\d{4,9}/\S+)?$", description="of the deposit, once there is one")
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
    structures: dict[Label, StructuresSection] = Field({}, description="posteriors over formulas")
    information: dict[Label, InformationSection] = Field({}, description="what each score is worth")
    limits: dict[Label, LimitsSection] = Field({}, description="expected limits")
    ratios: dict[Label, RatiosSection] = Field({}, description="learned likelihood ratios against the exact one")
    accuracy: dict[Label, AccuracySection] = Field({}, description="learned amplitudes against the exact one")
    control: dict[Label, ControlSection] = Field({}, description="generated events against true ones")
    densities: dict[Label, DensitiesSection] = Field({}, description="posteriors over densities")
    predictive: dict[Label, PredictiveSection] = Field({}, description="what they say in bins, against the truth")
    amplification: dict[Label, AmplificationSection] = Field({}, description="what generated events are worth")
    figures: dict[Label, FiguresSection] = Field({}, description="figures")


def study_schema() -> dict:
    """JSON Schema of a study, with the names that each process knows (`x-process`)."""
    schema = Study.model_json_schema()
    schema["x-process"] = {name: _known(load("process", name)) for name in sorted(REGISTRY["process"])}
    return schema


def _known(process: type[Any]) -> dict[str, list[str]]:
    """Names that a process knows; `varied` is what events can carry weights of."""
    varied = list(Variations.model_fields) if issubclass(process, AbstractHadronSpec) else []
    return process.names() | {"varied": varied}


def write_schema(path: Path) -> None:
    """Write the JSON Schema that the workflow validates studies with."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(study_schema(), indent=1) + "\n", encoding="utf-8")
