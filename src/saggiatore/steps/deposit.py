"""Make a smaller archive from an archive, for a repository with a limit or a reader in a hurry."""

import tempfile
from pathlib import Path, PurePosixPath

from saggiatore.bundle import README, write_bundle
from saggiatore.crate import METADATA as CRATE
from saggiatore.deposit import BASE, part_of, parts_from, restated, sizes
from saggiatore.errors import BundleError
from saggiatore.verification import Verdict, unpack, verify, verify_absent

_OWN = ("format", "files", "not_included", "digest")  # keys that a manifest writes by itself


def run(bundle: Path, *, parts: str = "", results: Path = Path("results"), out: Path | None = None) -> None:
    """Write the chosen parts, such as ``formula,tables,figures``, to `out`; without parts, print what there is.

    The study, its source, numbers and page are in every deposit. Events are in no archive: they are taken from
    `results`, where they must be as the archive states them.

    Raises:
        BundleError: if the archive is not whole, a part is unknown, or the events are other ones.
    """
    verdict = verify(bundle)
    if not verdict.is_whole:
        raise BundleError(f"{bundle}: not whole; `python -m saggiatore verify {bundle}` says what is wrong.")
    if not parts:
        print(_listing(bundle, verdict))
        return
    chosen = parts_from(parts)
    target = out or bundle.with_name(f"{bundle.stem}.{'-'.join(chosen)}.zip")
    if target.resolve() == bundle.resolve():
        raise BundleError(f"--out {target}: is the archive itself; give another name.")
    events = _events(verdict, results) if "events" in chosen else {}
    with tempfile.TemporaryDirectory() as folder:
        manifest = _write(target, bundle, Path(folder) / "whole", [BASE, *chosen], events)
    size = target.stat().st_size
    left_out = sum(entry["size"] for entry in manifest["not_included"].values())
    print(f"{target}: {len(manifest['files'])} files, {size / 1e6:.1f} MB; stated only: {left_out / 1e6:.1f} MB")


def _events(verdict: Verdict, results: Path) -> dict[str, Path]:
    missing, changed = verify_absent(verdict, results)
    if missing or changed:
        raise BundleError(
            f"{results}: the events are not those of the archive; missing: {missing or 'none'}, changed: "
            f"{changed or 'none'}. Run the study, or leave the events out."
        )
    names = [name for name in verdict.manifest["not_included"] if part_of(name) == "events"]
    return {name: results.joinpath(*PurePosixPath(name).parts[1:]) for name in names}


def _write(target: Path, bundle: Path, folder: Path, parts: list[str], events: dict[str, Path]) -> dict:
    manifest = unpack(bundle, folder)
    known = {**manifest["files"], **manifest["not_included"]}
    files = {name: folder / name for name in manifest["files"] if part_of(name) in parts} | events
    absent = {name: entry for name, entry in known.items() if name not in files}
    texts = {
        README: _readme(files.pop(README), absent),
        CRATE: restated(files.pop(CRATE).read_text(encoding="utf-8"), {name: known[name] for name in events}, absent),
    }
    header = {key: value for key, value in manifest.items() if key not in _OWN}
    return write_bundle(target, files, texts, absent, {**header, "parts": parts})


def _readme(path: Path, absent: dict) -> str:
    listed = "".join(f"  {name} ({_shown(entry['size'])})\n" for name, entry in sorted(absent.items()))
    return path.read_text(encoding="utf-8") + f"\nThis is a part of that archive. Not in it, but on record:\n\n{listed}"


def _shown(size: int) -> str:
    """A size in bytes, as people say it."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _listing(bundle: Path, verdict: Verdict) -> str:
    lines = [f"{bundle}: parts for --parts, with their sizes"]
    for part, (count, size) in sizes(verdict.manifest).items():
        where = {"events": "not in the archive; from --results", BASE: "in every deposit"}.get(part, "")
        lines.append(f"  {part:<8} {count:>5} files {_shown(size):>10}  {where}".rstrip())
    return "\n".join(lines)
