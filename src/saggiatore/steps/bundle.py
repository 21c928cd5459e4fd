"""Seal a study into one archive."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from saggiatore.attribution import read_attribution
from saggiatore.bundle import MANIFEST, README, Entry, measure, write_bundle
from saggiatore.crate import METADATA as CRATE
from saggiatore.crate import describe
from saggiatore.errors import BundleError
from saggiatore.number import quote
from saggiatore.provenance import git_commit, package_versions
from saggiatore.record import lineage, read_records
from saggiatore.zenodo import METADATA as ZENODO
from saggiatore.zenodo import metadata

_FORMULA = ".formula.json"
_EXPORTS = {"py": "python", "cpp": "cpp", "tformula.txt": "tformula"}
_README = """\
{title}

This is the archive of the study '{study}' of Saggiatore {version} (commit {commit}).
All files lie under the paths that they have in the repository:

  results/{study}/report.html    what was studied and found, on one page: start here, with any browser
  config/studies/{study}.yaml    what was asked for: process, cuts, events, networks, formulas, figures
  config/schema/                 what a study can say
  results/{study}/spec/          what each job saw
  results/{study}/tables/        cross sections, teacher tables, scores of the test events, information, pulls, coverage
  results/{study}/models/        trained networks and their training histories
  results/{study}/draws/         posterior draws and their diagnostics
  results/{study}/formulas/      halls of fame, refitted constants, the chosen formulas with their covariances, and as
                                 Python, C++ and ROOT TFormula
  results/{study}/structures/    what each posterior draw distils to, and the most probable structure as a formula
  results/{study}/limits/        likelihoods as HistFactory workspaces, for pyhf
  results/{study}/hepdata.zip    tables, formulas and figures as a submission to HEPData
  results/{study}/figures/       every figure as PDF and PNG
  results/{study}/numbers.json   every number with its error, unit and origin; every figure's caption
  Snakefile, rules/, src/        the workflow itself
  requirements.txt, envs/        the packages that it was made with
  ro-crate-metadata.json         every job's command, inputs, outputs, times, kind of host, packages and code
                                 fingerprint; authors, licence, citations (RO-Crate, Provenance Run Crate 0.5)
  .zenodo.json                   the same authors, licence and citations as Zenodo reads them
  manifest.json                  size and SHA-256 of every file

Every table is Parquet; each column's unit and meaning, and the table's provenance (job, code, versions), are in its
metadata under the key 'saggiatore'. Models, formulas and figures carry the same provenance.
{formulas}
To check that the archive is whole, with Saggiatore installed:

  python -m saggiatore verify {study}.zip          (or the folder into which it was unpacked)

or without it, compare `sha256sum` of any file with its entry in manifest.json.

{absent}To make it again from nothing but this archive, and hold every number against it:

  python -m saggiatore reproduce {study}.zip --into FOLDER
"""


def run(
    *,
    study: str,
    code: str,
    files: list[Path],
    not_included: list[Path],
    logs: Path,
    root: Path = Path("."),
    out: Path,
) -> None:
    """Write the archive; `files` go in, `not_included` are only stated; both are named by their paths from `root`.

    The records of the jobs are read from their logs.
    """
    names = {_name(path, root): path for path in files}
    absent = {_name(path, root): measure(path) for path in not_included}
    environment = _environment()
    header = {"study": study, "code": code, "commit": git_commit(), "environment": environment}
    attribution = read_attribution(root / "config" / "studies" / f"{study}.yaml", root / "CITATION.cff")
    formulas = _formulas(names)
    texts: dict[str, str] = {
        README: _readme(study, header, formulas, absent),
        ZENODO: metadata(
            study, attribution, environment["saggiatore"], {label: entry["text"] for label, entry in formulas.items()}
        ),
        **_exports(names),
    }
    contents: dict[str, Path | str] = {**names, **texts}
    stated = {name: measure(contents[name]) for name in sorted(contents)}
    records = lineage(read_records(logs), [*names, *absent])
    texts[CRATE] = describe(study, stated, absent, records, attribution, environment)
    manifest = write_bundle(out, names, texts, absent, header)
    size = sum(entry["size"] for entry in manifest["files"].values())
    print(f"{out}: {len(manifest['files'])} files, {size / 1e6:.1f} MB, and {MANIFEST}; {len(records)} jobs on record")


def _name(path: Path, root: Path) -> str:
    try:
        return path.resolve().relative_to(Path(root).resolve()).as_posix()
    except ValueError:
        raise BundleError(
            f"{path}: lies outside {root}, so it has no place in the archive; give files below it."
        ) from None


def _exports(files: dict[str, Path]) -> dict[str, str]:
    """Each formula as a Python function, a C++ function and a ROOT TFormula, for readers without this package."""
    texts: dict[str, str] = {}
    for name, path in files.items():
        if path.parent.name == "formulas" and name.endswith(_FORMULA):
            shown = json.loads(path.read_text(encoding="utf-8"))["shown"]
            stem = name.removesuffix(_FORMULA)
            texts |= {f"{stem}.{ending}": shown[language].rstrip("\n") + "\n" for ending, language in _EXPORTS.items()}
    return texts


def _environment() -> dict[str, str]:
    return {**package_versions(), "python": platform.python_version()}


def _readme(study: str, header: dict, formulas: Mapping[str, dict], absent: Mapping[str, Entry]) -> str:
    listed = "".join(f"  {name} ({entry['size'] / 1e6:.1f} MB)\n" for name, entry in sorted(absent.items()))
    stated = (
        "Too large to be included, so that only their size and SHA-256 are stated (`verify --results FOLDER` looks\n"
        f"for them under a folder of results):\n\n{listed}\n"
    )
    lines = []
    for label, formula in formulas.items():
        lines.append(f"  {label}: {formula['text']}")
        lines += [f"      {name} = {quote(*constant)}" for name, constant in formula["constants"].items()]
    return _README.format(
        title=f"Saggiatore: {study}",
        study=study,
        version=header["environment"]["saggiatore"],
        commit=header["commit"],
        formulas="\nFormulas found:\n\n" + "\n".join(lines) + "\n" if lines else "",
        absent=stated if absent else "",
    )


def _formulas(files: Mapping[str, Path]) -> dict[str, dict]:
    """The formulas of the study and what they are worth, from its numbers."""
    found: dict[str, dict] = {}
    for name, path in files.items():
        if PurePosixPath(name).name == "numbers.json":
            found |= json.loads(path.read_text(encoding="utf-8"))["formulas"]
    return found
