"""All that the rules may call: what to build, what each job sees, which files it needs, which code it runs.

Imports no jax: Snakemake parses the workflow at every start, and once more in each cluster job.
"""

import json
import re
import sys
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path

from saggiatore.artefacts import ARTEFACTS, PUBLISHED, TOLD
from saggiatore.chosen import expanded
from saggiatore.errors import StudyError
from saggiatore.fingerprint import fingerprint, foreign
from saggiatore.graph import SIMULATING, Study, artefact
from saggiatore.libraries import installed, pinned, read_precision, rounded
from saggiatore.plan_checks import content_key
from saggiatore.request import Request
from saggiatore.schema import closest
from saggiatore.study_file import read_study_file

PARTS = {"distill": ("formulas", ("teacher", "engine", "symmetry"))}  # jobs that see some keys of a section only
HOUSE = (  # the source tree of the workflow, without tests and documentation
    "Snakefile",
    "Makefile",
    "README.md",
    "LICENSE",
    "CITATION.cff",
    "pyproject.toml",
    "requirements*.*",
    "config/config.yaml",
    "config/schema/*.json",
    "envs/*",
    "profiles/*/*",
    "rules/*.smk",
    "src/saggiatore/**/*.py",
)


class Plan:
    """The studies under a root folder, seen from the rules.

    Args:
        root: the repository's root.
        config: as in config/config.yaml.
        conda: whether jobs run in conda environments, which mirror the lock file, and not in this one.
    """

    def __init__(self, root: str | Path, config: dict, *, conda: bool = False):
        self._root = Path(root)
        self._conda = conda
        self._precision = read_precision(config.get("library_versions", "exact"))
        self._groups = list(config.get("groups", {}))
        self.names = expanded(config["studies"], config)
        for name in self.names:
            if not re.fullmatch("[a-z][a-z0-9_]*", name):  # it becomes part of paths and commands
                raise StudyError(f"config: no study can be called {name!r}; names are like 'wbf_cp': a-z, 0-9, _.")
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
        """What a job sees, as JSON: written to its spec file, and rewritten only when it changes.

        `stage` may be the name of one of PARTS.
        """
        content = self.study(study).content
        stage, keys = PARTS.get(stage, (stage, ()))
        job = {"study": study, "stage": stage, "label": label, "seed": content["seed"]}
        section = self.study(study).section(stage, label)
        job["section"] = {key: section[key] for key in keys or section if key != "resources"}
        if stage in SIMULATING:
            job["process"] = self.study(study).process_of(stage, label)
        return json.dumps(job, sort_keys=True)

    def code_of(self, step: str, study: str, stage: str = "", label: str = "") -> str:
        """Fingerprint of the step, of all that the section (without a label: the stage) names in the registry, and of
        the libraries that they import."""
        modules = self.modules(step, study, stage, label)
        return fingerprint(modules, self.versions(modules))

    def modules(self, step: str, study: str, stage: str = "", label: str = "") -> set[str]:
        """Modules of the step, and of what the section (without a label: the stage) and all above it name."""
        found = self.study(study)
        kinds = [found.kinds(stage, each) for each in found.content.get(stage, {}) if label in ("", each)]
        return {f"saggiatore.steps.{step}"}.union(*kinds)

    def versions(self, modules: Iterable[str]) -> dict[str, str]:
        """Versions of the libraries behind `modules`, in the environment that jobs run in, as far as they count."""
        names = foreign(modules)
        found = pinned(names, self._root / "requirements.txt") if self._conda else installed(names)
        return rounded(found, self._precision)

    def priority(self, study: str, stage: str, label: str) -> int:
        """What the longest chain of stages waits for comes first: on few cores it decides when the study is done."""
        return self.study(study).n_below(stage, label)

    def request(self, rule: str) -> Request:
        """What the jobs of a rule ask a scheduler for."""
        return Request(self.study, rule)

    def inputs(self, study: str, stage: str, label: str, *fields: str) -> list[str]:
        """Artefacts of the upstream sections that `fields` (all, if none is given) of a section name."""
        found = self.study(study).upstream(stage, label)
        chosen = [each for each in found if not fields or each.field in fields]
        return [artefact(study, each.stage, each.artefact, each.label) for each in chosen]

    def along(self, study: str, stage: str, label: str, *fields: str) -> list[str]:
        """The artefact that the last of `fields` names, following the others from section to section.

        Raises:
            StudyError: if a section on the way has no such field, such as a teacher without draws.
        """
        found = self.study(study).along(stage, label, *fields)
        return [artefact(study, found.stage, found.artefact, found.label)]

    def behind(self, study: str, stage: str, label: str, field: str, name: str) -> list[str]:
        """The artefacts that the field `name` stands for in every section that `field` names."""
        found = [each for each in self.study(study).upstream(stage, label) if each.field == field]
        return [path for each in found for path in self.inputs(study, each.stage, each.label, name)]

    def spec_of(self, study: str, stage: str, label: str, field: str) -> str:
        """The frozen spec of the section that a field names."""
        found = self.study(study).follow(stage, label, field)
        return f"results/{study}/spec/{found.stage}.{found.label}.json"

    def twin(self, study: str, stage: str, label: str, field: str, name: str) -> list[str]:
        """The artefact `name` of the section that `field` names, where the field itself stands for another one."""
        found = self.study(study).upstream(stage, label)
        return [artefact(study, each.stage, name, each.label) for each in found if each.field == field]

    def all_of(self, study: str, stage: str, name: str) -> list[str]:
        """The artefact `name` of every section of a stage; samples are of those that read files."""
        sections = self.study(study).content.get(stage, {}).items()
        return [artefact(study, stage, name, label) for label, each in sections if name != "sample" or "path" in each]

    def specs(self, study: str, *stages: str) -> list[str]:
        """The frozen spec of every section and of PARTS, of `stages` if any are given."""
        found = self.study(study)
        parts = [(part, label) for part, (stage, _) in PARTS.items() for label in found.content.get(stage, {})]
        names = [(each, label) for each, label in found.sections + parts if not stages or each in stages]
        return [f"results/{study}/spec/{each}.{label}.json" for each, label in names]

    def bundled(self, study: str) -> list[str]:
        """What the archive holds besides specs, numbers and the house's own files: everything but the events."""
        kept = [key for key in ARTEFACTS if key != ("events", "events")]
        return [path for stage, name in kept for path in self.all_of(study, stage, name)]

    def told(self, study: str) -> list[str]:
        """The tables whose numbers numbers.json quotes."""
        return [path for stage, name in TOLD for path in self.all_of(study, stage, name)]

    def published(self, study: str) -> list[str]:
        """The tables that go to HEPData: what was found, not the events that it was found in."""
        return [path for stage, name in PUBLISHED for path in self.all_of(study, stage, name)]

    def submission(self, study: str) -> list[str]:
        """The submission to HEPData, which the archive of every study with tables holds."""
        return [f"results/{study}/hepdata.zip"] if self.published(study) else []

    def generators(self, study: str, label: str, what: str) -> list[str]:
        """The events, the models or the logs of their trainings (`what`) behind a section `control`, where an entry's
        events come from a model."""
        found = self.study(study)
        labels = [each.label for each in found.upstream("control", label) if each.field == "entries.events"]
        pairs = [(each, model) for each in labels if (model := found.generator(each))]
        paths = {"events": "events/{0}.parquet", "models": "models/{1}.eqx", "logs": "logs/models.{1}.log"}
        return [f"results/{study}/" + paths[what].format(*pair) for pair in pairs]

    def trainings(self, study: str, stage: str, label: str, field: str) -> list[str]:
        """The logs of the trainings of the models that `field` names."""
        found = self.study(study).upstream(stage, label)
        return [f"results/{study}/logs/models.{each.label}.log" for each in found if each.field == field]

    def house(self, study: str) -> list[str]:
        """The repository's own files that the archive holds: the study, and all that it takes to make it again."""
        return [f"config/studies/{study}.yaml", *self._house]

    def islands(self, study: str, label: str) -> list[str]:
        """The searches that are merged into one hall of fame."""
        n_islands = self.study(study).section("formulas", label)["n_islands"]
        return [f"results/{study}/formulas/{label}/island-{shard}.parquet" for shard in range(n_islands)]

    def distilled(self, study: str, label: str) -> list[str]:
        """The draws of a section `structures`, each distilled by itself."""
        n_draws = self.study(study).section("structures", label)["n_draws"]
        return [f"results/{study}/structures/{label}/draw-{shard}.parquet" for shard in range(n_draws)]

    def drawn_forms(self, study: str, label: str) -> list[str]:
        """What the draws of every posterior over a formula were distilled to."""
        found = self.study(study).content.get("structures", {}).items()
        return [path for name, each in found if each["formula"] == label for path in self.distilled(study, name)]

    def shards(self, study: str, label: str) -> list[str]:
        """The shards that make up an events table; events of a file, a model, two hypotheses or a mixture are one."""
        section = self.study(study).section("events", label)
        source = section["source"]
        names = [{"lhe": "file", "flat": "file", "smeared": "model"}.get(source, source)]
        if source == "process":
            names = [f"shard-{shard}" for shard in range(section["n_shards"])]
        return [f"results/{study}/events/{label}/{name}.parquet" for name in names]

    def event_files(self, study: str, label: str) -> list[str]:
        """The file that events come from, if they do."""
        section = self.study(study).section("events", label)
        return [section["path"]] if "path" in section else []

    def content_of(self, study: str, label: str) -> list[str]:
        """Key of the content of the file that events come from."""
        return [content_key(Path(path)) for path in self.event_files(study, label)]

    def _read(self, name: str) -> Study:
        path = self._root / "config" / "studies" / f"{name}.yaml"
        if not path.is_file():
            names = sorted([*self._groups, *(each.stem for each in path.parent.glob("*.yaml"))])
            raise StudyError(f"no study is called '{name}' ({path} does not exist); {closest(name, names)}")
        return Study(name, read_study_file(path), self._schema)

    @cached_property
    def _house(self) -> list[str]:
        found = {path.relative_to(self._root) for each in HOUSE for path in self._root.glob(each) if path.is_file()}
        return sorted(path.as_posix() for path in found if "__pycache__" not in path.parts)

    @cached_property
    def _schema(self) -> dict:
        return json.loads((self._root / "config" / "schema" / "study.schema.json").read_text(encoding="utf-8"))


def planned(root: str | Path, config: dict, *, conda: bool = False) -> Plan:
    """The plan of the chosen studies; if one cannot be built, the program ends with the message alone.

    Snakemake would put the lines of its and our code around it that it came through.
    """
    try:
        plan = Plan(root, config, conda=conda)
        plan.targets()
    except StudyError as error:
        sys.exit(f"error: {error}")
    return plan
