"""Where an artefact comes from: what every table, model, formula, number and figure carries. No clock, no host:
the same study, seed and code give the same bytes."""

import functools
import subprocess
from pathlib import Path

import saggiatore
from saggiatore.libraries import ABSENT, installed

LIBRARIES = (  # all that this package imports, by the names of the imports
    *("PIL", "diffrax", "equinox", "hist", "jax", "jaxtyping", "jinja2", "jsonschema", "latex2mathml", "markupsafe"),
    *("matplotlib", "mplhep", "numpy", "numpyro", "optax", "pandas", "pyarrow", "pydantic", "pydantic_core", "pylhe"),
    *("pyoperon", "pysr", "rich", "rocrate", "scipy", "sympy", "tqdm", "uproot", "yaml"),
)


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
    """Versions of this package and of what it imports, as far as it is installed."""
    found = {name: version for name, version in installed(LIBRARIES).items() if version != ABSENT}
    return {"saggiatore": saggiatore.__version__, **found}


def provenance(spec: dict, code: str) -> dict:
    """Header of an artefact: the job's spec, the fingerprint of the code that ran, commit and versions."""
    return {"spec": spec, "code": code, "commit": git_commit(), "versions": package_versions()}
