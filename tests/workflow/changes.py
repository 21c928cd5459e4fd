"""Kinds of change, and what each reruns in the oracle study `smoke`: tests try them, docs/reruns.md lists them.

`python tests/workflow/changes.py > docs/reruns.md` writes the page again.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

STUDY = "config/studies/smoke.yaml"
PACKAGE = "src/saggiatore"
FIGURES = frozenset(f"figures.{name}" for name in ("history", "pulls", "hall_of_fame", "formula", "information"))
EVENTS = frozenset(f"events.{name}" for name in ("train", "select", "test", "theta"))
PAGE = frozenset({"report", "bundle"})
SEAL = PAGE | {"numbers", "hepdata"}
SEARCH = frozenset({"distill_island.formula", "distill.formula", "formulas.formula"})
BELOW_DRAWS = SEAL | {"draws.network", "teachers.network", "information.main"} | SEARCH
BELOW_NETWORK = BELOW_DRAWS | {"models.network"}
BELOW_FLOW = SEAL | {"models.flow", "information.density"}
EVERYTHING = FIGURES | EVENTS | BELOW_NETWORK | BELOW_FLOW | {"sampler.map"}
WITHOUT_HISTORY = FIGURES - {"figures.history"}


class Edit(NamedTuple):
    """Text of a file, replaced once; without `old`, `new` is what a further file holds."""

    path: str
    old: str
    new: str


class Change(NamedTuple):
    """What somebody changes, the edits that do it, and the jobs that must run again."""

    words: str
    edits: tuple[Edit, ...]
    reruns: frozenset[str]
    says: str  # the jobs in words

    @property
    def name(self) -> str:
        return re.sub(r"\W+", "_", self.words).strip("_")


def code(path: str) -> tuple[Edit, ...]:
    """A constant more in a module."""
    return (Edit(f"{PACKAGE}/{path}", "\n\n\n", "\n\nA_FURTHER_CONSTANT = 1\n\n\n"),)


def study(old: str, new: str) -> tuple[Edit, ...]:
    """Another line in the study."""
    return (Edit(STUDY, old, new),)


def release(library: str, version: str) -> Edit:
    """Another release of a library, as far as its metadata tell; PYTHONPATH begins with `src`."""
    text = f"Metadata-Version: 2.1\nName: {library}\nVersion: {version}\n"
    return Edit(f"src/{library}-{version}.dist-info/METADATA", "", text)


CHANGES = [
    Change(
        "a comment or a docstring",
        (
            Edit(f"{PACKAGE}/physics/asymmetry.py", '"""', '"""Another first word. '),
            Edit(f"{PACKAGE}/physics/asymmetry.py", "\n\n\n", "\n\n\n# a comment\n"),
        ),
        frozenset({"bundle"}),
        "the bundle, which holds the source",
    ),
    Change(
        "another process, model or figure, in a file of its own and a line of the registry",
        (
            Edit(
                f"{PACKAGE}/registry.py", '"process": {\n', '"process": {\n        "other": "saggiatore.other:Spec",\n'
            ),
        ),
        frozenset({"bundle"}),
        "the bundle, which holds the source",
    ),
    Change("the process's code", code("physics/asymmetry.py"), EVERYTHING, "everything"),
    Change("the sampler's code", code("integrate/vegas.py"), EVERYTHING, "everything"),
    Change(
        "the code of the network `mlp`",
        code("models/mlp.py"),
        BELOW_NETWORK | FIGURES,
        "its training and all below it; neither events nor the flow",
    ),
    Change(
        "the code of `last_layer`, a posterior method",
        code("infer/last_layer.py"),
        BELOW_DRAWS | WITHOUT_HISTORY,
        "the draws and all below them; no training",
    ),
    Change(
        "the code of an engine",
        code("distill/operon_engine.py"),
        SEAL | SEARCH | {"information.main"} | WITHOUT_HISTORY - {"figures.pulls"},
        "the distillation and all below it",
    ),
    Change(
        "how a formula is chosen (`selection:`)",
        study("    select: select\n", "    select: select\n    selection: {n_bootstrap: 50}\n"),
        SEAL | {"formulas.formula", "information.main"} | WITHOUT_HISTORY - {"figures.pulls"},
        "refit and choice, and all below them; no search",
    ),
    Change(
        "a further search of an engine (`n_islands:`)",
        study("    select: select\n", "    select: select\n    n_islands: 2\n"),
        SEAL | SEARCH | {"information.main"} | WITHOUT_HISTORY - {"figures.pulls"},
        "that search, the merging and all below it; not the searches that are there",
    ),
    Change(
        "a figure's code",
        code("figures/pulls.py"),
        SEAL | {"figures.pulls"},
        "that figure, numbers, submission to HEPData, page and bundle",
    ),
    Change(
        "`figures:` in the study",
        study("kind: formula, ", "kind: formula, n_bins: 20, "),
        SEAL | {"figures.formula"},
        "that figure, numbers, submission to HEPData, page and bundle",
    ),
    Change(
        "a cut",
        study("abs_cos_theta_mu: 1", "abs_cos_theta_mu: 0.9"),
        EVERYTHING,
        "everything from the sampler on",
    ),
    Change("the seed", study("seed: 1", "seed: 2"), EVERYTHING, "everything"),
    Change(
        "the number of epochs of a training",
        study("n_epochs: 30", "n_epochs: 31"),
        BELOW_NETWORK | FIGURES,
        "that training and all below it",
    ),
    Change(
        "the number of shards of a sample that only the flow is trained on",
        study("n_shards: 2, theta:", "n_shards: 3, theta:"),
        BELOW_FLOW | {"events.theta"},
        "that sample, that flow and all below them",
    ),
    Change(
        "what a section asks a scheduler for (`resources:`)",
        study("    events: train\n", "    resources: {memory: 3 GB, gpu: 0}\n    events: train\n"),
        PAGE,
        "page and bundle, which hold the study",
    ),
    Change("the study's title", study("title: ", "title: Once more, "), PAGE, "page and bundle"),
    Change("the study's authors", study("seed: 1", "authors: [{name: Galileo}]\nseed: 1"), PAGE, "page and bundle"),
    Change("the look of the page", code("report/graph.py"), PAGE, "page and bundle"),
    Change(
        "a patch release of a library that every job imports (numpy)",
        (release("numpy", "2.4.99"),),
        EVERYTHING,
        "everything",
    ),
    Change(
        "a release of matplotlib",
        (release("matplotlib", "99.0.0"),),
        SEAL | FIGURES,
        "figures, numbers, submission to HEPData, page and bundle",
    ),
    Change(
        "a release of numpyro",
        (release("numpyro", "99.0.0"),),
        BELOW_DRAWS | WITHOUT_HISTORY,
        "the draws and all below them",
    ),
]


@contextlib.contextmanager
def made(house: Path, edits: tuple[Edit, ...]) -> Iterator[None]:
    """Make the edits in a copy of the repository, for the duration of the block."""
    with contextlib.ExitStack() as stack:
        for edit in edits:
            stack.enter_context(_made(house / edit.path, edit))
        yield


@contextlib.contextmanager
def _made(path: Path, edit: Edit) -> Iterator[None]:
    if not edit.old:
        path.parent.mkdir()
        path.write_text(edit.new)
        try:
            yield
        finally:
            path.unlink()
            path.parent.rmdir()
        return
    text = path.read_text()
    assert edit.old in text, f"{path} has no {edit.old!r}"
    path.write_text(text.replace(edit.old, edit.new, 1))
    try:
        yield
    finally:
        path.write_text(text)


def page() -> str:
    """docs/reruns.md."""
    rows = "".join(f"| {change.words} | {change.says} |\n" for change in CHANGES)
    return f"""# What reruns

`python -m saggiatore why TARGET` says what would run again for a file, and because of which line, key, file or version.
`snakemake -n` lists the jobs. Snakemake compares times, inputs and the commands of rules; to each command belongs a
fingerprint of the code that the job runs (docs/architecture.md). Each line below is tried by
`tests/workflow/test_reruns.py` in the study `smoke`: neither more nor less runs again.

| you change | what runs again |
|---|---|
{rows}
The versions of libraries that count are those installed beside Snakemake; with `--sdm conda` they are the pins of
requirements.txt, which envs/*.yaml mirror, and Snakemake itself reruns the jobs of an environment file that changed.
`library_versions` in config/config.yaml says how much of a version counts: `exact`, `minor` or `none`. It is part of
the fingerprint, so choose before the first run. To keep what other versions made: `snakemake --touch` takes everything
that lies there as up to date, and each artefact still says which versions made it.

What was made of which study and code is in Snakemake's records, in the hidden folder `.snakemake` beside `results`:
copy or move both. Without it Snakemake goes by times alone. Where a study has changed since, a run then ends before it
starts, and says which sections; a change of code is not seen.
"""


if __name__ == "__main__":
    print(page(), end="")
