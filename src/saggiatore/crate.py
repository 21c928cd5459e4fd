"""An archive's RO-Crate metadata, in the Provenance Run Crate profile 0.5: who made what from what, how and when.

The profile: Leo et al., PLoS ONE 19 (2024) e0309210. A job is a CreateAction whose instrument is the step it ran; the
workflow is the Snakefile, and each of its rules a HowToStep. Everything is said of files and records that it is given:
the same ones give the same text.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from urllib.parse import quote

from rocrate.model import ContextEntity, File, SoftwareApplication
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from saggiatore.attribution import Attribution, Author
from saggiatore.record import Record

METADATA = "ro-crate-metadata.json"
WORKFLOW = "Snakefile"
_UNDATED = "1980-01-01"  # like every file in the archive: nothing tells when it was made
_WORKFLOW_PROFILE = ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0")
_RUN_PROFILES = tuple(
    (f"https://w3id.org/ro/wfrun/{name}/0.5", f"{name.capitalize()} Run Crate", "0.5")
    for name in ("process", "workflow", "provenance")
)
_RUN_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
_FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".html": "text/html",
    ".py": "text/x-python",
    ".cpp": "text/x-c++",
    ".md": "text/markdown",
    ".txt": "text/plain",
}


def describe(
    study: str,
    files: Mapping[str, Mapping],
    absent: Mapping[str, Mapping],
    records: Mapping[str, Record],
    attribution: Attribution,
    software: Mapping[str, str],
) -> str:
    """The text of ``ro-crate-metadata.json``.

    `files` and `absent` map names to size and SHA-256, those of files that the archive only names too; `records` are
    those of the jobs, by their start; `software` holds the versions that the archive itself was written with.
    """
    crate = _Crate(study, attribution)
    for name, entry in files.items():
        crate.add_file(name, entry)
    for name, entry in absent.items():
        crate.add_absent(name, entry)
    crate.add_workflow(software)
    if records:
        crate.add_run(records, software)
    return json.dumps(crate.generate(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


class _Crate:
    """The graph while it is built."""

    def __init__(self, study: str, attribution: Attribution):
        self._crate = ROCrate(version="1.1")  # the version that the profile 0.5 builds on
        self._study = study
        self._files: dict[str, Entity] = {}
        self._authors = [self._author(place, each) for place, each in enumerate(attribution.authors)]
        self._root(attribution)

    def generate(self) -> dict:
        """The JSON-LD document."""
        return self._crate.metadata.generate()

    def add_file(self, name: str, entry: Mapping) -> None:
        """A file of the archive."""
        properties = {**_stated(name, entry), "encodingFormat": _format(name)}
        self._files[name] = self._crate.add(File(self._crate, dest_path=name, properties=properties))

    def add_absent(self, name: str, entry: Mapping) -> None:
        """A file that the archive states and does not hold."""
        self._files[name] = self._entity(f"#{quote(name)}", "CreativeWork", **_stated(name, entry))

    def add_workflow(self, software: Mapping[str, str]) -> None:
        """The Snakefile as the crate's main entity."""
        properties = {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": "Saggiatore",
            "version": software["saggiatore"],
        }
        self._files[WORKFLOW]._jsonld.update(properties)
        language = self._entity(
            "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
            "ComputerLanguage",
            name="Snakemake",
            url="https://snakemake.readthedocs.io",
            identifier="https://doi.org/10.1093/bioinformatics/bts480",
        )
        self._files[WORKFLOW]["programmingLanguage"] = language
        self._crate.root_dataset["mainEntity"] = self._files[WORKFLOW]

    def add_run(self, records: Mapping[str, Record], software: Mapping[str, str]) -> None:
        """The run of the workflow and each of its jobs."""
        workflow = self._files[WORKFLOW]
        tools = {step: self._tool(step) for step in dict.fromkeys(record.step for record in records.values())}
        steps = {step: self._step(place, step, tool) for place, (step, tool) in enumerate(tools.items())}
        workflow["hasPart"], workflow["step"] = list(tools.values()), list(steps.values())
        jobs = {name: self._job(name, record, tools[record.step]) for name, record in records.items()}
        controls = [self._control(name, steps[records[name].step], job) for name, job in jobs.items()]
        when = {
            "startTime": min(record.start for record in records.values()),
            "endTime": max(record.end for record in records.values()),
        }
        made = {path for record in records.values() for path in record.outputs}
        used = {path for record in records.values() for path in record.inputs}
        run = self._action("#run", f"run of the study {self._study}", workflow, used - made, made - used, when)
        engine = self._crate.add(
            SoftwareApplication(
                self._crate, "#snakemake", {"name": "Snakemake", "version": software.get("snakemake", "unknown")}
            )
        )
        organise = self._entity("#organisation", "OrganizeAction", name="Snakemake orders the jobs", **when)
        organise["instrument"], organise["object"], organise["result"] = engine, controls, run
        organise["agent"] = self._authors
        root = self._crate.root_dataset
        root["mentions"] = [run, organise, *jobs.values()]
        root["conformsTo"] = [self._profile(*each) for each in (*_RUN_PROFILES, _WORKFLOW_PROFILE)]
        root["datePublished"] = when["endTime"]
        self._crate.metadata.extra_contexts.append(_RUN_TERMS)

    def _root(self, attribution: Attribution) -> None:
        root = self._crate.root_dataset
        root["name"] = attribution.title
        root["description"] = (
            f"Archive of the study '{self._study}' of {attribution.software}: what was asked for, what every job saw "
            "and did, tables, models, formulas, figures, numbers, and the source of the workflow."
        )
        root["datePublished"] = _UNDATED
        root["author"] = self._authors
        licence = f"https://spdx.org/licenses/{attribution.licence}"
        root["license"] = self._entity(licence, "CreativeWork", name=attribution.licence, url=licence)
        root["identifier"] = self._entity(
            "#doi",
            "PropertyValue",
            name="DOI",
            propertyID="https://registry.identifiers.org/registry/doi",
            value=attribution.doi,
        )
        root["citation"] = [
            self._entity(each.url, "ScholarlyArticle", name=each.title, creditText=", ".join(each.authors))
            for each in attribution.references
        ]
        root["conformsTo"] = [self._profile(*_WORKFLOW_PROFILE)]

    def _author(self, place: int, author: Author) -> Entity:
        identifier = f"https://orcid.org/{author.orcid}" if author.orcid else f"#author-{place + 1}"
        entity = self._entity(identifier, "Person" if author.is_person else "Organization", name=author.name)
        if author.affiliation:
            entity["affiliation"] = self._entity(f"#affiliation-{place + 1}", "Organization", name=author.affiliation)
        return entity

    def _profile(self, identifier: str, name: str, version: str) -> Entity:
        return self._entity(identifier, "CreativeWork", name=name, version=version)

    def _tool(self, step: str) -> Entity:
        properties = {"name": step, "description": f"python -m saggiatore {step.replace('_', '-')}"}
        return self._crate.add(SoftwareApplication(self._crate, f"#tool-{step}", properties))

    def _step(self, place: int, step: str, tool: Entity) -> Entity:
        entity = self._entity(f"{WORKFLOW}#{step}", "HowToStep", name=f"rule {step}", position=str(place))
        entity["workExample"] = tool
        return entity

    def _job(self, name: str, record: Record, tool: Entity) -> Entity:
        when = {"startTime": record.start, "endTime": record.end}
        job = self._action(f"#job-{name}", name, tool, record.inputs, record.outputs, when)
        job["description"] = record.command
        job["actionStatus"] = "http://schema.org/CompletedActionStatus"
        facts: dict[str, object] = {
            "code fingerprint": record.code,
            **{f"host {key}": value for key, value in record.host.items()},
        }
        facts["memory in MB"] = record.memory
        job["additionalProperty"] = [self._fact(key, value) for key, value in sorted(facts.items())]
        job["environment"] = [self._fact(key, value) for key, value in sorted(record.environment.items())]
        return job

    def _control(self, name: str, step: Entity, job: Entity) -> Entity:
        entity = self._entity(f"#control-{name}", "ControlAction", name=f"orders {name}")
        entity["instrument"], entity["object"] = step, job
        return entity

    def _action(
        self, identifier: str, name: str, instrument: Entity, used: Iterable[str], made: Iterable[str], when: dict
    ) -> Entity:
        action = self._entity(identifier, "CreateAction", name=name, **when)
        action["instrument"], action["agent"] = instrument, self._authors
        action["object"] = [self._file(path) for path in sorted(used)]
        action["result"] = [self._file(path) for path in sorted(made)]
        return action

    def _file(self, name: str) -> Entity:
        """A file that a job read or wrote; one that the archive does not even state is known by its name alone."""
        if name not in self._files:
            self._files[name] = self._entity(f"#{quote(name)}", "CreativeWork", name=name)
        return self._files[name]

    def _fact(self, name: str, value: object) -> Entity:
        """One value, shared by all the jobs of which it is true."""
        identifier = "#" + quote(f"{name}-{value}".replace(" ", "-"))
        return self._entity(identifier, "PropertyValue", name=name, value=str(value))

    def _entity(self, identifier: str, kind: str, /, **properties: object) -> Entity:
        found = self._crate.get(identifier)
        if found is not None:
            return found
        return self._crate.add(ContextEntity(self._crate, identifier, properties={"@type": kind, **properties}))


def _stated(name: str, entry: Mapping) -> dict[str, str]:
    return {"name": name, "sha256": entry["sha256"], "contentSize": str(entry["size"])}


def _format(name: str) -> str:
    return _FORMATS.get(PurePosixPath(name).suffix, "text/plain" if "." not in name[1:] else "application/octet-stream")
