"""Why Snakemake would make a file again, in words: its own dry run says what, this says because of which key or module.

A spec that changed is held against the one on record, key by key. Code that changed is told by the fingerprint in the
artefact (Snakemake itself says so only of jobs that nothing else makes run), module by module by the artefact's commit.
"""

import ast
import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from saggiatore.errors import StudyError
from saggiatore.fingerprint import PACKAGE, closure, normalised
from saggiatore.places import Place, changed_places, line_of_key
from saggiatore.record import read_records
from saggiatore.request import DEFAULTS
from saggiatore.workflow import Plan

_JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)
_FIELD = re.compile(r"^    (output|reason|wildcards): (.*)$", re.MULTILINE)
_TEMPORARY = re.compile(r"/events/\w+/[\w-]+\.parquet$")  # removed once they are joined
_FOLLOWS = "Input files updated by another job"
_PARAMS = "Params have changed since last execution"


class Planned(NamedTuple):
    """A job of Snakemake's dry run."""

    rule: str
    outputs: tuple[str, ...]
    reason: str
    wildcards: dict[str, str]

    @property
    def name(self) -> str:
        """Such as models.network; rules without a label have their own name."""
        stage = self.wildcards.get("stage", self.rule)
        return ".".join(part for part in (stage, self.wildcards.get("label")) if part)


def dry_run(root: Path, study: str, target: str) -> list[Planned]:
    """The jobs that Snakemake would run for `target`.

    Raises:
        StudyError: with Snakemake's words, if it cannot plan.
    """
    command = [sys.executable, "-m", "snakemake", "-n", target, "--config", f"studies=[{study}]"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True)
    text = found.stdout + found.stderr
    if found.returncode != 0:
        said = text.rpartition("Building DAG of jobs...")[-1].strip()  # without its greeting
        raise StudyError(f"Snakemake cannot plan {target}:\n{said}")
    return [_planned(rule, body) for rule, body in _JOB.findall(text) if rule != "all"]


def causes(plan: Plan, job: Planned) -> Iterator[str]:
    """What makes this job run by itself; nothing if it only follows from another one."""
    code = list(_changed_code(plan, job))
    yield from code
    for reason in _split(job.reason):
        kind, _, detail = reason.partition(": ")
        if kind == _PARAMS and job.rule == "spec":
            yield from _changed_keys(detail)
        elif kind == _PARAMS and not code:
            yield f"what the rule {job.rule} says of its job is another: {detail}"
        elif kind == "Missing output files":
            if missing := [path for path in detail.split(", ") if not _TEMPORARY.search(path)]:
                yield f"missing: {', '.join(missing)}"
        elif kind.startswith("Code has changed"):
            yield f"rules/: the command of rule {job.rule} is another one"
        elif kind.startswith("Set of input files has changed"):
            yield "its inputs are other files than those it was made from"
        elif kind == "Updated input files":
            yield f"newer than what was made from it: {detail}"
        elif kind not in (_FOLLOWS, _PARAMS):
            yield reason


def differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """Keys under which two values differ, with both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            where = f"{place}.{key}" if place else key
            if key not in now:
                yield f"{where}: {json.dumps(before[key])} is gone"
            elif key not in before:
                yield f"{where}: {json.dumps(now[key])} is new"
            else:
                yield from differences(before[key], now[key], where)
    elif before != now:
        yield f"{place}: {json.dumps(before)} became {json.dumps(now)}"


def _planned(rule: str, body: str) -> Planned:
    fields = dict(_FIELD.findall(body))
    wildcards = dict(item.split("=", 1) for item in fields.get("wildcards", "").split(", ") if item)
    return Planned(rule, tuple(fields.get("output", "").split(", ")), fields.get("reason", ""), wildcards)


def _split(reason: str) -> list[str]:
    """The reasons of one line; semicolons and colons inside of parameters do not count."""
    starts = r"; (?=(?:Missing|Input|Updated|Params|Code|Set|Forced|Incomplete|Software|Job) [\w ]+(?::|;|$))"
    return [part.strip() for part in re.split(starts, reason) if part.strip()]


def _changed_keys(detail: str) -> Iterator[str]:
    """From the contents of a spec before and now, as Snakemake quotes them."""
    found = re.search(r"before: ('.*') now: ('.*')\s*$", detail, re.DOTALL)
    before, now = (json.loads(ast.literal_eval(text)) for text in found.groups()) if found else ({}, {})
    home = f"config/studies/{now.get('study', '*')}.yaml"
    for line in differences(before, now):
        own = line.removeprefix("section.")
        said = own if own == line else "{stage}.{label}.{own}".format(own=own, **now)
        place = line_of_key(Path(home), said.partition(":")[0].split(".")) if Path(home).is_file() else None
        yield f"{home}{f', line {place}' if place else ''}: {said}"


def _changed_code(plan: Plan, job: Planned) -> Iterator[str]:
    if job.rule == "spec" or not (made := _made(job.outputs) or _logged(job)):
        return
    names = (job.rule, job.wildcards["study"], DEFAULTS[job.rule].stage, job.wildcards.get("label", ""))
    now = plan.code_of(*names)
    if made.code == now:
        return
    modules = plan.modules(*names)
    changed = [*_changed_modules(made.commit, modules), *_changed_libraries(made.versions, plan.versions(modules))]
    yield from changed
    if not changed:
        origin = f"was made at commit {made.commit[:10]}, with edits" if made.commit else "names no commit"
        yield f"the code of {job.name}: fingerprint {made.code} became {now}; its artefact {origin}"


def _changed_modules(commit: str, modules: set[str]) -> Iterator[str]:
    if not _is_known(commit):
        return
    for path in sorted(set().union(*(closure(module) for module in modules))):
        before, now = _at(commit, path), path.read_text(encoding="utf-8")
        if before != now and normalised(before) != normalised(now):
            where = _shown(changed_places(before, now)) if before else "new"
            yield f"src/saggiatore/{path.relative_to(PACKAGE).as_posix()}, {where}: differs from commit {commit[:10]}"


def _shown(places: list[Place]) -> str:
    """Such as line 94 in VegasSpec and 2 more."""
    first, more = places[0], f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"line {first.line}{f' in {first.name}' if first.name else ''}{more}"


def _changed_libraries(before: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    """Versions that count and are others than the recorded ones; a library that was not recorded tells nothing."""
    for name, version in now.items():
        if name in before and not f"{before[name]}.".startswith(f"{version}."):
            yield f"{name}: version {before[name]} became {version}"


class Made(NamedTuple):
    """What an artefact's provenance says of the code that made it."""

    code: str
    commit: str
    versions: dict[str, str]


def _made(outputs: tuple[str, ...]) -> Made | None:
    """The provenance in the first artefact that has one: plain text in every one of our formats."""
    for path in map(Path, outputs):
        content = path.read_bytes() if path.is_file() else b""
        content = content.replace(b'\\"', b'"')
        found = {key: re.search(rb'"%s": ?"([0-9a-f]+)"' % key.encode(), content) for key in ("code", "commit")}
        versions = re.search(rb'"versions": ?(\{[^{}]*\})', content)
        if found["code"]:
            code, commit = (match[1].decode() if match else "" for match in found.values())
            return Made(code, commit, json.loads(versions[1]) if versions else {})
    return None


def _logged(job: Planned) -> Made | None:
    """The same from the record in the job's log: a page or an archive has no header of its own."""
    if not all(Path(path).is_file() for path in job.outputs):
        return None
    records = read_records(Path("results") / job.wildcards["study"] / "logs").values()
    found = [record for record in records if set(job.outputs) <= set(record.outputs)]
    return Made(found[0].code, found[0].commit, found[0].environment) if found else None


@functools.cache
def _is_known(commit: str) -> bool:
    """Whether this checkout has the commit; an artefact may come from another one, or from none."""
    command = ["git", "-C", str(PACKAGE), "cat-file", "-e", f"{commit}^{{commit}}"]
    return bool(commit) and subprocess.run(command, capture_output=True).returncode == 0


@functools.cache
def _at(commit: str, path: Path) -> str:
    """A module as it was at a commit; empty if it was not there."""
    command = ["git", "-C", str(path.parent), "show", f"{commit}:./{path.name}"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout if found.returncode == 0 else ""
