"""One checked study: its sections, and the graph that their labels span. Works on the generated schema, without jax."""

import functools
import re
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from saggiatore.artefacts import ARTEFACTS
from saggiatore.errors import StudyError
from saggiatore.measured import detector_name
from saggiatore.plan_checks import (
    require_enough_draws,
    require_held_out,
    require_known_weights,
    require_sound_context,
    require_sound_files,
    require_sound_form,
)
from saggiatore.registry import registered_modules
from saggiatore.schema import Reference, child, closest, complete, faults, marked, references, require_valid

STAGES = (
    *("sampler", "events", "models", "draws", "teachers", "formulas", "structures", "information", "limits"),
    *("ratios", "accuracy", "control", "densities", "predictive", "amplification", "figures"),
)
# the stages whose jobs see the study's process
SIMULATING = ("sampler", "events", "limits", "ratios", "predictive", "amplification")

_COMPUTING = ("limits", "ratios", "predictive", "amplification")  # those of them that compute with it

# what event tables with an amplitude hold beside observables (models.leg)
OF_LEGS = re.compile(r"leg\d_(e|px|py|pz)|s_\d\d")

_CALLED = {"feature": "observable"}  # in messages


class Study:
    """One checked study: its sections with their defaults filled in, and the graph that their labels span."""

    def __init__(self, name: str, content: dict, schema: dict):
        require_valid(schema, content, name)
        self.name = name
        self.content = complete(schema, schema, content)
        self._schema = schema
        # asked for again and again while a graph is built: by every rule, and by every section downstream
        self._upstream = functools.cache(self._find_upstream)
        self._kinds = functools.cache(self._find_kinds)
        self._check_references()
        self._check_names()
        self._check_posteriors()
        self._check_processes(content["process"])
        uses = {f"{stage}.{label}": self._events_of(stage, label) for stage, label in self.sections}
        require_sound_files(name, self.content["events"], self._known["parameter"], uses)

    @cached_property
    def sections(self) -> list[tuple[str, str]]:
        """(stage, label) of every section, in the order of the stages."""
        return [(stage, label) for stage in STAGES for label in self.content.get(stage, {})]

    def section(self, stage: str, label: str) -> dict:
        """The section `label` of `stage`."""
        labels = self.content.get(stage, {})
        if label not in labels:
            raise StudyError(f"study '{self.name}' has no {stage}.{label}; {closest(label, list(labels))}")
        return labels[label]

    def upstream(self, stage: str, label: str) -> list[Reference]:
        """Sections that this one names, in the order of its spec's fields."""
        return self._upstream(stage, label)

    def _find_upstream(self, stage: str, label: str) -> list[Reference]:
        return list(references(self._schema, self._node(stage, label), self.section(stage, label)))

    def follow(self, stage: str, label: str, field: str) -> Reference:
        """The section that a field of this one names.

        Raises:
            StudyError: if the field is not given.
        """
        for reference in self.upstream(stage, label):
            if reference.field == field:
                return reference
        raise StudyError(
            f"study '{self.name}', {stage}.{label}: '{field}' is missing, and a section downstream needs it. Name one."
        )

    def along(self, stage: str, label: str, *fields: str) -> Reference:
        """What the last of `fields` names, following the others from section to section.

        Raises:
            StudyError: if a section on the way has no such field, such as a teacher without draws.
        """
        first, *others = fields
        found = self.follow(stage, label, first)
        for field in others:
            found = self.follow(found.stage, found.label, field)
        return found

    def generator(self, label: str) -> str:
        """The model that events were drawn from, or selected events of its; empty where there is none."""
        sources = {each.field: each.label for each in self.upstream("events", label)}
        if "of" in sources and len(self.section("events", label)["of"]) == 1:
            return self.generator(sources["of"])
        return sources.get("model", "")

    @property
    def drawn(self) -> list[str]:
        """What each figure is drawn from, as FIGURE=LABEL.ARTEFACT,LABEL.ARTEFACT."""
        names = {label: self.upstream("figures", label) for label in self.content.get("figures", {})}
        return [
            f"{label}={','.join(f'{each.label}.{each.artefact}' for each in found)}" for label, found in names.items()
        ]

    def process_of(self, stage: str, label: str) -> dict:
        """The process that the jobs of a section see: the study's, with what the section's sampler says otherwise."""
        section = self.section(stage, label)
        if stage == "events" and "sampler" in section:
            return self.process_of("sampler", section["sampler"])
        return self.content["process"] | (section["process"] if stage == "sampler" else {})

    def kinds(self, stage: str, label: str) -> set[str]:
        """Modules that the section names in the registry, and those of everything upstream of it."""
        return self._kinds(stage, label)

    def _find_kinds(self, stage: str, label: str) -> set[str]:
        found = set(registered_modules(self.section(stage, label)))
        if stage in SIMULATING:
            found |= set(registered_modules({"process": self.content["process"]}))
        for reference in self.upstream(stage, label):
            found |= self.kinds(reference.stage, reference.label)
        return found

    def n_below(self, stage: str, label: str) -> int:
        """Sections of the longest chain that waits for this one."""
        return self._n_below.get((stage, label), 0)

    @cached_property
    def _n_below(self) -> dict[tuple[str, str], int]:
        below: dict[tuple[str, str], int] = {}
        for section in reversed(self._ordered):
            for reference in self.upstream(*section):
                above = reference.stage, reference.label
                below[above] = max(below.get(above, 0), below.get(section, 0) + 1)
        return below

    @cached_property
    def _ordered(self) -> list[tuple[str, str]]:
        """All sections, each behind those that it names.

        Raises:
            StudyError: if sections wait for one another.
        """
        graph = {section: [(each.stage, each.label) for each in self.upstream(*section)] for section in self.sections}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            ring = " <- ".join(".".join(section) for section in error.args[1])
            raise StudyError(f"study '{self.name}': sections wait for one another: {ring}. Break the ring.") from None

    @cached_property
    def _known(self) -> dict[str, list[str]]:
        """Observables and parameters of the process."""
        process = self.content["process"]
        known = self._schema["x-process"][process["kind"]]
        parameters = known["parameter"] or list(process.get("parameters", {}))
        nuisances = {name for each in self.content["events"].values() for name in each.get("nuisances", {})}
        drawn = [*parameters, *sorted(nuisances)]  # what an event has its own theta_NAME of
        measured = {
            detector_name(name) for each in self.content["events"].values() for name in each.get("response", {})
        }
        seen = [*known["observable"], *sorted(measured)]
        more = {"feature": seen, "drawn": drawn, "context": [*drawn, *seen]}
        return {**known, "parameter": parameters, **more}

    def _node(self, stage: str, label: str) -> dict:
        return child(self._schema["properties"][stage], label) or {}

    def _check_references(self) -> None:
        for stage, label in self.sections:
            require_held_out(f"study '{self.name}', {stage}.{label}", self.section(stage, label))
            for reference in self.upstream(stage, label):
                names = list(self.content.get(reference.stage, {}))
                if reference.label not in names:
                    raise StudyError(
                        f"study '{self.name}', {stage}.{label}.{reference.field}: '{reference.label}' names no section "
                        f"of '{reference.stage}'; {closest(reference.label, names)}"
                    )
        _ = self._ordered

    def _check_names(self) -> None:
        """Observables and parameters that sections use must be the process's own."""
        kind = self.content["process"]["kind"]
        for stage, label in self.sections:
            node, section = self._node(stage, label), self.section(stage, label)
            for place, what, name in marked(self._schema, node, section, "x-names"):
                if what == "feature" and OF_LEGS.fullmatch(name):
                    continue
                if name not in self._known[what]:
                    raise StudyError(
                        f"study '{self.name}', {stage}.{label}.{place}: the process '{kind}' has no "
                        f"{_CALLED.get(what, what)} '{name}'; {closest(name, self._known[what])}"
                    )
            if stage == "models":
                require_sound_context(f"study '{self.name}', models.{label}", section, self._known["drawn"])
            for place, _, text in marked(self._schema, node, section, "x-form"):
                require_sound_form(f"study '{self.name}', {stage}.{label}.{place}", text, self._known["observable"])

    def _check_posteriors(self) -> None:
        """Sections that take a number of draws must find them in each posterior that they take them from."""
        for stage, label in self.sections:
            if stage == "structures":
                key, named = "n_fits", [self.along(stage, label, "formula", "teacher", "draws")]
            elif stage == "limits":
                key, named = "n_members", self.upstream(stage, label)
            else:
                continue
            posteriors = [each for each in named if each.stage in ("draws", "densities")]
            methods = {f"{e.stage}.{e.label}.method": self.section(e.stage, e.label)["method"] for e in posteriors}
            where = f"study '{self.name}', {stage}.{label}"
            require_enough_draws(where, key, self.section(stage, label)[key], methods)

    def _check_processes(self, process: dict) -> None:
        """Events can carry what the process knows, what a sampler says of it must fit, and whoever computes with the
        study's must read its events."""
        for label, section in self.content["events"].items():
            require_known_weights(f"study '{self.name}', events.{label}", section, self._known)
        changed = {label: each["process"] for label, each in self.content.get("sampler", {}).items() if each["process"]}
        for label, changes in changed.items():
            where = f"study '{self.name}', sampler.{label}.process"
            if "kind" in changes:
                raise StudyError(f"{where}: the kind of the process is the study's; change its other keys.")
            wrong = list(faults(self._schema, self._schema["properties"]["process"], process | changes))
            if wrong:
                raise StudyError(f"{where}: {' '.join(wrong)}")
        for stage, label in self.sections if changed else ():
            for each in self._events_of(stage, label) if stage in _COMPUTING else ():
                if self.content["events"][each].get("sampler") in changed:
                    raise StudyError(
                        f"study '{self.name}', {stage}.{label}: events.{each} are of another process than the study's, "
                        "with which this section computes. Name events of a sampler without `process`."
                    )

    def _events_of(self, stage: str, label: str) -> list[str]:
        return sorted({each.label for each in self.upstream(stage, label) if each.stage == "events"})


def artefact(study: str, stage: str, name: str, label: str) -> str:
    """Path of an artefact, from the repository's root."""
    return f"results/{study}/" + ARTEFACTS[stage, name].format(label=label)
