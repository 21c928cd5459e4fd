"""Make a study again from its archive alone, and say to how many digits it agrees."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from saggiatore.comparison import Finding, Tolerance, compare
from saggiatore.errors import ReproductionError
from saggiatore.files import atomic
from saggiatore.verification import unpack

_COMPARED = (".parquet", ".json", ".eqx")  # by file name; figures repeat what their tables say
_NOT_COMPARED = ("spec/",)


def run(
    bundle: Path,
    *,
    into: Path,
    inputs: Path | None = None,
    cores: int = os.cpu_count() or 1,
    tolerance: float = Tolerance.relative,
    sigmas: float = Tolerance.errors,
    present_environment: bool = False,
) -> None:
    """Unpack the archive into the new folder `into`, create its environment, run the study, compare the results.

    `inputs` holds the event files that the study reads, if it does. With `present_environment` the packages are those
    of this Python. `tolerance` is relative; `sigmas` is the share of a number's own error that is allowed.

    Raises:
        ReproductionError: if the study cannot be run, or something does not agree.
        BundleError: if the archive is not whole.
    """
    archived, repository = into / "archived", into / "repository"
    manifest = unpack(bundle, archived)
    study = manifest["study"]
    _lay_out(archived, repository, [name for name in manifest["files"] if not name.startswith("results/")])
    _bring_inputs(repository, study, inputs)
    python = Path(sys.executable) if present_environment else _environment(repository, into / "environment.log")
    _rerun(repository, python, study, cores, into / "snakemake.log")
    names = _compared(manifest, study)
    findings = list(
        compare(archived / "results" / study, repository / "results" / study, names, Tolerance(tolerance, sigmas))
    )
    _write(into / "reproduction.json", study, manifest, findings, Tolerance(tolerance, sigmas))
    print(_report(findings))
    if failed := [finding for finding in findings if not finding.agrees]:
        listed = "\n  ".join(f"{each.artefact} {each.entry}: {each.text}" for each in failed[:20])
        raise ReproductionError(
            f"{bundle}: {len(failed)} of {len(findings)} entries do not agree within a relative {tolerance:g} or "
            f"{sigmas:g} standard errors.\n  {listed}\n{into / 'reproduction.json'} has them all."
        )
    print(f"Reproduced: study '{study}', within a relative {tolerance:g} or {sigmas:g} standard errors.")


def _lay_out(archived: Path, repository: Path, names: list[str]) -> None:
    if "Snakefile" not in names:
        raise ReproductionError(f"{archived}: a deposit without its workflow; only one with its source can be rerun.")
    for name in names:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(archived / name, repository / name)


def _bring_inputs(repository: Path, study: str, inputs: Path | None) -> None:
    """Put the event files that the study reads where it reads them."""
    text = (repository / "config" / "studies" / f"{study}.yaml").read_text(encoding="utf-8")
    wanted = {section["path"] for section in yaml.safe_load(text)["events"].values() if "path" in section}
    for path in sorted(wanted):
        source = None if inputs is None else inputs / Path(path).name
        target = (repository / path).resolve()
        if source is None or not source.is_file():
            raise ReproductionError(f"the study reads {path}, which no archive holds; give --inputs FOLDER with it.")
        if not target.is_relative_to(repository.resolve()):
            raise ReproductionError(f"the study reads {path}, outside of its repository; edit its path first.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve())


def _environment(repository: Path, log: Path) -> Path:
    """The packages of the archive's lock, in a virtual environment made as `make` does."""
    _call(["make", "venv", f"PYTHON={sys.executable}"], repository, dict(os.environ), log)
    return repository / ".venv" / "bin" / "python"


def _rerun(repository: Path, python: Path, study: str, cores: int, log: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PATH"] = f"{python.absolute().parent}{os.pathsep}{environment['PATH']}"
    command = [str(python.absolute()), "-m", "snakemake", "--cores", str(cores), "--config", f"studies=[{study}]"]
    _call(command, repository, environment, log)


def _call(command: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
    print(f"{' '.join(command[:4])} ... in {folder}; {log} says how it goes", flush=True)
    with open(log, "w", encoding="utf-8") as sink:
        found = subprocess.run(command, cwd=folder, env=environment, stdout=sink, stderr=subprocess.STDOUT)
    if found.returncode != 0:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise ReproductionError(f"{' '.join(command)} failed in {folder}:\n{last}")


def _compared(manifest: dict, study: str) -> list[str]:
    """Results with digits to count, below the study's folder."""
    head = f"results/{study}/"
    names = [name.removeprefix(head) for name in manifest["files"] if name.startswith(head)]
    return [name for name in names if name.endswith(_COMPARED) and not name.startswith(_NOT_COMPARED)]


def _write(path: Path, study: str, manifest: dict, findings: list[Finding], tolerance: Tolerance) -> None:
    content = {
        "study": study,
        "digest": manifest["digest"],
        "tolerance": vars(tolerance),
        "entries": [{**vars(each), "digits": each.digits if math.isfinite(each.digits) else None} for each in findings],
    }
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _report(findings: Iterable[Finding]) -> str:
    """One line an artefact: how many entries agree, and the worst of them."""
    by_artefact: dict[str, list[Finding]] = {}
    for finding in findings:
        by_artefact.setdefault(finding.artefact, []).append(finding)
    lines = []
    for name, entries in sorted(by_artefact.items()):
        worst = min(entries, key=lambda each: math.inf if math.isnan(each.digits) else each.digits)
        agreed = f"{sum(each.agrees for each in entries)}/{len(entries)}"
        where = f" ({worst.entry})" if worst.entry and len(entries) > 1 and math.isfinite(worst.digits) else ""
        text = worst.text if len(entries) == 1 or not math.isinf(worst.digits) else "all digits"
        lines.append(f"  {name:<40} {agreed:>9} agree; {'worst: ' if where else ''}{text}{where}")
    return "\n".join(lines)
