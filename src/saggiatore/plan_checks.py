"""Checks of what sections ask of one another and of files, before anything runs."""

import ast
import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from saggiatore.errors import StudyError

_ROLES = ("train", "test", "select")  # of events in a section; what is tried on one must not have seen it as another
_DRAWS = ("n_chains", "n_particles", "n_draws", "n_replicas")  # a method makes the product of those that it has
_SAMPLED = 1 << 20  # bytes at either end of a file that tell its content


def require_sound_files(
    study: str, events: Mapping[str, dict], parameters: list[str], uses: Mapping[str, list[str]]
) -> None:
    """Check the sections `events` of a study, given its process's parameters and the events that each section uses.

    Raises:
        StudyError: if benchmarks do not determine the weights of events, or a section uses two that share some.
    """
    for label, section in events.items():
        _require_span(f"study '{study}', events.{label}", section, parameters)
    for user, labels in uses.items():
        _require_disjoint(f"study '{study}', {user}", [(label, events[label]) for label in labels])


def require_known_weights(where: str, section: Mapping[str, Any], known: Mapping[str, list[str]]) -> None:
    """Check that the process knows the variations and the marginal score that a section of events asks for.

    Raises:
        StudyError: if it does not.
    """
    if section.get("variations") and not known["varied"]:
        raise StudyError(
            f"{where}.variations: the process has neither scales nor parton densities to vary. Leave it out."
        )
    asked, sets = section.get("marginal", ()), known.get("marginal", [])
    if asked and set(asked) not in [set(names.split(", ")) for names in sets]:
        raise StudyError(
            f"{where}.marginal: the process knows no exact score of {', '.join(asked)}, but of: "
            f"{'; '.join(sets) or 'none'}."
        )


def require_held_out(where: str, section: Mapping[str, object]) -> None:
    """Check that a section does not test, or choose, on the events that it trains on.

    Raises:
        StudyError: if it names the same events twice.
    """
    for one, other in combinations(_ROLES, 2):
        if one in section and section[one] == section.get(other):
            raise StudyError(
                f"{where}: '{one}' and '{other}' are both '{section[one]}', and have to be independent. "
                "Give one of them a section of events of its own."
            )


def require_enough_draws(where: str, key: str, n_asked: int, methods: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that each of the `methods`, by where they stand in the study, makes the draws that a section asks for.

    Raises:
        StudyError: if one has fewer.
    """
    for name, method in methods.items():
        n_found = math.prod(method.get(factor, 1) for factor in _DRAWS)
        if n_asked > n_found:
            raise StudyError(
                f"{where}.{key}: {n_asked} draws are asked for, {name} makes {n_found}; "
                f"{key} is at most that, or more are to be made."
            )


def require_sound_context(where: str, section: Mapping[str, Any], drawn: Collection[str]) -> None:
    """Check that a model can be told its context, given the names of parameters and nuisances.

    Raises:
        StudyError: if it is also a feature, has observables where the task needs theory parameters, or edges where
            it has theory parameters.
    """
    context, model = section["context"], section["model"]
    if twice := [name for name in context if name in section["features"]]:
        raise StudyError(f"{where}.context: {', '.join(twice)} is also a feature; leave it out of one of them.")
    told = [name for name in context if name not in drawn]
    if told and section["task"]["kind"] != "density":
        raise StudyError(
            f"{where}.context: {', '.join(told)} is an observable, of which the task {section['task']['kind']} learns "
            "no function; name theory parameters, or take the task density."
        )
    for option in ("periodic", "lower", "bounded"):
        if edged := [name for name in drawn if name in model.get(option, ()) and name in context]:
            raise StudyError(
                f"{where}.model.{option}: {', '.join(edged)} is a theory parameter; edges are those of observables."
            )


def require_sound_form(where: str, text: str, observables: list[str]) -> None:
    """Check an expression as far as it goes without sympy: that it can be read, and uses an observable.

    Raises:
        StudyError: if not; what is no formula otherwise, such as another function, the job itself refuses.
    """
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise StudyError(
            f"{where}: {_shortened(text)} is no expression ({said}); expected one such as a*{observables[0]}."
        ) from None
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    if not names.intersection(observables):
        raise StudyError(
            f"{where}: {_shortened(text)} uses no observable of the process. There are: {', '.join(observables)}."
        )


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _require_span(where: str, section: dict, parameters: list[str]) -> None:
    if not section.get("benchmarks"):
        return
    from saggiatore.integrate.morphing import morphing  # numpy, only where a study reads files

    try:
        morphing(parameters, {"": section["theta"], **section["benchmarks"]})
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from None


def _require_disjoint(where: str, sections: Iterable[tuple[str, dict]]) -> None:
    read = ((label, section) for label, section in sections if "path" in section)
    for (first, one), (second, other) in combinations(read, 2):
        if Path(one["path"]) == Path(other["path"]) and _overlap(one, other):
            raise StudyError(
                f"{where}: events.{first} and events.{second} share events of {Path(one['path'])}, and count as "
                "independent here. Give them different parts of the file with skip and n_events."
            )


def _overlap(one: dict, other: dict) -> bool:
    early, late = sorted((one, other), key=lambda section: section["skip"])
    return early["n_events"] is None or early["skip"] + early["n_events"] > late["skip"]


def content_key(path: Path) -> str:
    """Key of a file's content from its size and both its ends: gigabytes are not read at every start.

    Beside the modification time, which Snakemake looks at, it also notices a file replaced by an older one. The end of
    a gzipped file holds a checksum of all of it.

    Raises:
        StudyError: if there is no such file.
    """
    try:
        with open(path, "rb") as file:
            size, head = path.stat().st_size, file.read(_SAMPLED)
            file.seek(max(0, size - _SAMPLED))
            return f"{size}-{hashlib.sha256(head + file.read()).hexdigest()[:16]}"
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}). Check the path of the events.") from None
