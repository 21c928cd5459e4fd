"""Tell whether an archive is whole."""

from pathlib import Path

from saggiatore.errors import BundleError
from saggiatore.verification import Verdict, verify, verify_absent


def run(bundle: Path, *, results: Path | None = None) -> None:
    """Check the archive (a zip, or the folder it unpacks to); with `results`, also the files that it only names there.

    Raises:
        BundleError: naming each file that is missing, changed, extra or unsafe.
    """
    verdict = verify(bundle)
    faults = verdict.faults
    if results is not None:
        missing, changed = verify_absent(verdict, results)
        faults += [f"missing under {results}: {name}" for name in missing]
        faults += [f"changed under {results}: {name}" for name in changed]
    if faults:
        listed = "\n  ".join(faults)
        raise BundleError(f"{bundle}: not whole.\n  {listed}\nDo not trust these files; get the archive anew.")
    print(_summary(bundle, verdict, results))


def _summary(bundle: Path, verdict: Verdict, results: Path | None) -> str:
    manifest = verdict.manifest
    size = sum(entry["size"] for entry in manifest["files"].values())
    lines = [
        f"{bundle}: whole. Study '{manifest['study']}', {len(manifest['files'])} files, {size / 1e6:.1f} MB, "
        f"commit {manifest['commit']}, code {manifest['code']}."
    ]
    absent = len(manifest["not_included"])
    if absent and results is None:
        lines.append(f"{absent} files are stated but not included; --results FOLDER checks them too.")
    elif absent:
        lines.append(f"{absent} files that are not included are as stated under {results}.")
    return "\n".join(lines)
