"""Where an artefact comes from: what every table, model, formula, number and figure carries. No clock, no host:
the same study, seed and code give the same bytes."""

import functools
import importlib.metadata
import subprocess
from pathlib import Path

import saggiatore

PACKAGES = ("jax", "equinox", "diffrax", "optax", "numpyro", "pandas", "pyarrow", "pyoperon", "pysr", "sympy")


@functools.cache
def git_commit() -> str:
    """Commit of the checkout that this package runs from; 'unknown' outside a checkout."""
    folder = Path(saggiatore.__file__).resolve().parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


def package_versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on, as far as they are installed."""
    versions = {"saggiatore": saggiatore.__version__}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def provenance(spec: dict, code: str) -> dict:
    """Header of an artefact: the job's spec, the fingerprint of the code that ran, commit and versions."""
    return {"spec": spec, "code": code, "commit": git_commit(), "versions": package_versions()}
