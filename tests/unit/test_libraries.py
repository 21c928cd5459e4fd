"""Versions of libraries: which ones are behind the code, and how much of a version counts."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from saggiatore.errors import StudyError
from saggiatore.fingerprint import fingerprint, foreign
from saggiatore.libraries import ABSENT, distributions, installed, pinned, read_precision, rounded
from saggiatore.provenance import LIBRARIES
from saggiatore.workflow import Plan

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.txt"


def test_provenance_names_all_that_the_package_imports():
    modules = {
        "saggiatore." + ".".join(path.relative_to(ROOT / "src" / "saggiatore").with_suffix("").parts)
        for path in (ROOT / "src" / "saggiatore").rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    }
    assert foreign(modules) == set(LIBRARIES)


def test_every_import_has_a_distribution_that_the_lock_pins():
    """But for pysr, which has a conda environment of its own."""
    assert {name for name, version in pinned(LIBRARIES, LOCK).items() if version == ABSENT} == {"pysr"}


def test_imports_lead_to_the_distributions_that_provide_them():
    for name, providers in importlib.metadata.packages_distributions().items():
        if name in LIBRARIES:
            found = {re.sub(r"[-_.]+", "-", each).lower() for each in providers}
            assert found <= set(distributions([name])), name


def test_a_step_sees_the_libraries_of_its_closure():
    assert "numpyro" in foreign(["saggiatore.infer.last_layer"])
    assert not {"jax", "numpyro", "matplotlib"} & foreign(["saggiatore.steps.distill"])


@pytest.mark.parametrize(
    ("precision", "counts"), [("exact", {"patch", "minor"}), ("minor", {"minor"}), ("none", set())]
)
def test_what_counts_as_another_version(precision, counts):
    old = {"numpy": "2.4.6"}
    for change, new in {"patch": "2.4.7", "minor": "2.5.6"}.items():
        before, after = (fingerprint([], rounded(each, precision)) for each in (old, {"numpy": new}))
        assert (before != after) == (change in counts)


def test_python_counts_where_jobs_share_this_environment():
    assert re.fullmatch(r"3\.\d+", installed(["numpy"])["python"])
    assert "python" not in pinned(["numpy"], LOCK)


def test_conda_environments_are_told_by_the_lock(monkeypatch):
    """The versions beside Snakemake are none of theirs."""
    monkeypatch.setattr("saggiatore.workflow.installed", lambda imports: dict.fromkeys(imports, "0.0"))
    config = {"studies": ["smoke"]}
    here, there = Plan(ROOT, config), Plan(ROOT, config, conda=True)
    assert here.versions({"saggiatore.tables"})["numpy"] == "0.0"
    assert there.versions({"saggiatore.tables"})["numpy"] == pinned(["numpy"], LOCK)["numpy"]


def test_an_unknown_precision_is_refused():
    with pytest.raises(StudyError, match="library_versions is 'major', expected one of exact, minor, none"):
        read_precision("major")
    with pytest.raises(StudyError, match="library_versions"):
        Plan(ROOT, {"studies": ["smoke"], "library_versions": True})
