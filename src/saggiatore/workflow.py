"""All that the rules may call: what to build, what each job sees, which files it needs, which code it runs.

Imports no jax: Snakemake parses the workflow at every start, and once more in each cluster job.
"""

import json
from functools import cache, cached_property
from pathlib import Path

import yaml

from saggiatore.errors import StudyError
from saggiatore.fingerprint import fingerprint
from saggiatore.plan_checks import content_key, require_sound_files
from saggiatore.registry import registered_modules
from saggiatore.request import Request
from saggiatore.schema import Reference, child, closest, complete, marked, references, require_valid

STAGES = ("sampler", "events", "models", "draws", "teachers", "formulas", "information", "figures")
SIMULATING = ("sampler", "events")  # the stages whose jobs see the study's process

ARTEFACTS = {
    ("sampler", "grid"): "sampler/{label}.grid.parquet",
    ("sampler", "integral"): "tables/{label}.integral.parquet",
    ("events", "events"): "events/{label}.parquet",
    ("events", "sample"): "tables/{label}.sample.parquet",
    ("models", "model"): "models/{label}.eqx",
    ("models", "history"): "models/{label}.history.parquet",
    ("draws", "draws"): "draws/{label}.parquet",
    ("draws", "diagnostics"): "draws/{label}.diagnostics.parquet",
    ("draws", "pulls"): "tables/{label}.pulls.parquet",
    ("draws", "calibration"): "tables/{label}.calibration.parquet",
    ("teachers", "teacher"): "tables/{label}.teacher.parquet",
    ("formulas", "hall_of_fame"): "formulas/{label}.hall_of_fame.parquet",
    ("formulas", "refits"): "formulas/{label}.refits.parquet",
    ("formulas", "formula"): "formulas/{label}.formula.json",
    ("information", "scores"): "tables/{label}.scores.parquet",
    ("information", "information"): "tables/{label}.information.parquet",
    ("figures", "pdf"): "figures/{label}.pdf",
    ("figures", "png"): "figures/{label}.png",
}


class Study:
    """One checked study: its sections with their defaults filled in, and the graph that their labels span."""

    def __init__(self, name: str, content: dict, schema: dict):
        require_valid(schema, content, name)
        self.name = name
        self.content = complete(schema, schema, content)
        self._schema = schema
        self._check_references()
        self._check_names()
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
        return list(references(self._schema, self._node(stage, label), self.section(stage, label)))

    def kinds(self, stage: str, label: str) -> set[str]:
        """Modules that the section names in the registry, and those of everything upstream of it."""
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
        for section in reversed(self.sections):  # upstream sections are of earlier stages
            for reference in self.upstream(*section):
                above = reference.stage, reference.label
                below[above] = max(below.get(above, 0), below.get(section, 0) + 1)
        return below

    @cached_property
    def _known(self) -> dict[str, list[str]]:
        """Observables and parameters of the process."""
        process = self.content["process"]
        known = self._schema["x-process"][process["kind"]]
        return {**known, "parameter": known["parameter"] or list(process.get("parameters", {}))}

    def _node(self, stage: str, label: str) -> dict:
        return child(self._schema["properties"][stage], label) or {}

    def _check_references(self) -> None:
        for stage, label in self.sections:
            for reference in self.upstream(stage, label):
                names = list(self.content.get(reference.stage, {}))
                if reference.label not in names:
                    raise StudyError(
                        f"study '{self.name}', {stage}.{label}.{reference.field}: '{reference.label}' names no section "
                        f"of '{reference.stage}'; {closest(reference.label, names)}"
                    )

    def _check_names(self) -> None:
        """Observables and parameters that sections use must be the process's own."""
        kind = self.content["process"]["kind"]
        for stage, label in self.sections:
            node = self._node(stage, label)
            for place, what, name in marked(self._schema, node, self.section(stage, label), "x-names"):
                if name not in self._known[what]:
                    raise StudyError(
                        f"study '{self.name}', {stage}.{label}.{place}: the process '{kind}' has no "
                        f"{what} '{name}'; {closest(name, self._known[what])}"
                    )

    def _events_of(self, stage: str, label: str) -> list[str]:
        return sorted({each.label for each in self.upstream(stage, label) if each.stage == "events"})


class Plan:
    """The studies under a root folder, seen from the rules."""

    def __init__(self, root: str | Path, config: dict):
        self._root = Path(root)
        names = config["studies"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise StudyError(f"config: studies is {names!r}, expected a list of names, such as [quick].")
        self.names: list[str] = names
        self._study = cache(self._read)

    def study(self, name: str) -> Study:
        """The study called `name`, read and checked once."""
        return self._study(name)

    def targets(self) -> list[str]:
        """What ``rule all`` asks for: the bundle of every chosen study."""
        for name in self.names:
            self.study(name)
        return [f"results/bundles/{name}.zip" for name in self.names]

    def job(self, study: str, stage: str, label: str) -> str:
        """What a job sees, as JSON: written to its spec file, and rewritten only when it changes."""
        content = self.study(study).content
        job = {"study": study, "stage": stage, "label": label, "seed": content["seed"]}
        section = self.study(study).section(stage, label)
        job["section"] = {key: value for key, value in section.items() if key != "resources"}
        if stage in SIMULATING:
            job["process"] = content["process"]
        return json.dumps(job, sort_keys=True)

    def code_of(self, step: str, study: str, stage: str = "", label: str = "") -> str:
        """Fingerprint of the step and of all that the section (without a label: the stage) names in the registry."""
        return fingerprint(self.modules(step, study, stage, label))

    def modules(self, step: str, study: str, stage: str = "", label: str = "") -> set[str]:
        """Modules of the step, and of what the section (without a label: the stage) and all above it name."""
        found = self.study(study)
        kinds = [found.kinds(stage, each) for each in found.content.get(stage, {}) if label in ("", each)]
        return {f"saggiatore.steps.{step}"}.union(*kinds)

    def priority(self, study: str, stage: str, label: str) -> int:
        """What the longest chain of stages waits for comes first: on few cores it decides when the study is done."""
        return self.study(study).n_below(stage, label)

    def request(self, rule: str) -> Request:
        """What the jobs of a rule ask a scheduler for."""
        return Request(self.study, rule)

    def inputs(self, study: str, stage: str, label: str, *fields: str) -> list[str]:
        """Artefacts of the upstream sections that `fields` (all, if none is given) of a section name."""
        found = self.study(study).upstream(stage, label)
        return [
            artefact(study, reference.stage, reference.artefact, reference.label)
            for reference in found
            if not fields or reference.field in fields
        ]

    def twin(self, study: str, stage: str, label: str, field: str, name: str) -> list[str]:
        """The artefact `name` of the section that `field` names, where the field itself stands for another one."""
        found = self.study(study).upstream(stage, label)
        return [artefact(study, each.stage, name, each.label) for each in found if each.field == field]

    def all_of(self, study: str, stage: str, name: str) -> list[str]:
        """The artefact `name` of every section of a stage; samples are of those that read files."""
        sections = self.study(study).content.get(stage, {}).items()
        return [artefact(study, stage, name, label) for label, each in sections if name != "sample" or "path" in each]

    def specs(self, study: str, *stages: str) -> list[str]:
        """The frozen spec of every section, of `stages` if any are given."""
        sections = self.study(study).sections
        return [f"results/{study}/spec/{each}.{label}.json" for each, label in sections if not stages or each in stages]

    def bundled(self, study: str) -> list[str]:
        """What the archive holds besides specs, numbers and the house's own files: everything but the events."""
        kept = [key for key in ARTEFACTS if key != ("events", "events")]
        return [path for stage, name in kept for path in self.all_of(study, stage, name)]

    def house(self, study: str) -> list[str]:
        """The repository's own files that the archive holds: study, schema, environments, licence, citation."""
        environments = sorted(path.name for path in (self._root / "envs").glob("*.yaml"))
        own = ["LICENSE", "CITATION.cff", "requirements.txt", "config/schema/study.schema.json"]
        return [f"config/studies/{study}.yaml", *own, *(f"envs/{name}" for name in environments)]

    def shards(self, study: str, label: str) -> list[str]:
        """The shards that make up an events table; events of a file are one."""
        section = self.study(study).section("events", label)
        names = ["file"] if "path" in section else [f"shard-{shard}" for shard in range(section["n_shards"])]
        return [f"results/{study}/events/{label}/{name}.parquet" for name in names]

    def event_files(self, study: str, label: str) -> list[str]:
        """The file that events come from, if they do."""
        section = self.study(study).section("events", label)
        return [section["path"]] if "path" in section else []

    def content_of(self, study: str, label: str) -> list[str]:
        """Key of the content of the file that events come from."""
        return [content_key(Path(path)) for path in self.event_files(study, label)]

    def _read(self, name: str) -> Study:
        folder = self._root / "config" / "studies"
        path = folder / f"{name}.yaml"
        if not path.is_file():
            names = sorted(each.stem for each in folder.glob("*.yaml"))
            raise StudyError(f"no study is called '{name}' ({path} does not exist); {closest(name, names)}")
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise StudyError(f"{path}: not valid YAML: {error}") from None
        return Study(name, content, self._schema)

    @cached_property
    def _schema(self) -> dict:
        return json.loads((self._root / "config" / "schema" / "study.schema.json").read_text(encoding="utf-8"))


def artefact(study: str, stage: str, name: str, label: str) -> str:
    """Path of an artefact, from the repository's root."""
    return f"results/{study}/" + ARTEFACTS[stage, name].format(label=label)
