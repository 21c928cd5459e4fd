"""Lines at which two versions of a study or of a module differ."""

import ast
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from saggiatore.fingerprint import stripped


class Place(NamedTuple):
    """A line, and the definition that it lies in: ``Network.build``; empty at the top of a module."""

    line: int
    name: str


def line_of_key(path: Path, keys: Sequence[str]) -> int | None:
    """Line of a file at which a key of nested mappings stands; None if it is not written there, as merged keys are."""
    with path.open(encoding="utf-8-sig") as file:
        node, line = yaml.compose(file, yaml.CSafeLoader), None
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        found = next((pair for pair in pairs if pair[0].value == key), None)
        if found is None:
            return None
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def changed_places(before: str, now: str) -> list[Place]:
    """Lines of the module `now` whose code is another than in `before`; where code is gone, the line behind it."""
    old, new = stripped(ast.parse(before)), stripped(ast.parse(now))
    return sorted(set(_changed(old, new, "")))


def _changed(old: ast.AST, new: ast.AST, name: str) -> Iterator[Place]:
    """Differences of two nodes that hold statements."""
    for field in ("body", "orelse", "finalbody", "handlers"):
        before, now = getattr(old, field, []), getattr(new, field, [])
        one, other = ([ast.unparse(each) for each in statements] for statements in (before, now))
        matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            if tag == "replace" and i2 - i1 == j2 - j1:
                for pair in zip(before[i1:i2], now[j1:j2], strict=True):
                    yield from _replaced(*pair, name)
            elif tag != "equal":
                behind = now[j1 : j1 + 1] or now[-1:] or [new]  # of what is gone
                yield from (Place(_line(each), name) for each in now[j1:j2] or behind)


def _replaced(old: ast.AST, new: ast.AST, name: str) -> Iterator[Place]:
    own = getattr(new, "name", "")
    if type(old) is not type(new) or not hasattr(new, "body"):
        yield Place(_line(new), name)
        return
    inner = f"{name}.{own}".strip(".") if own else name
    within = list(_changed(old, new, inner))
    if _head(old) != _head(new) or not within:
        yield Place(_line(new), inner)
    yield from within


def _head(node: ast.AST) -> str:
    """A compound statement without what it holds."""
    fields = [(key, value) for key, value in ast.iter_fields(node) if not _holds_statements(value)]
    return repr([(key, _dumped(value)) for key, value in fields])


def _holds_statements(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(each, ast.stmt | ast.ExceptHandler) for each in value)


def _dumped(value: object) -> object:
    if isinstance(value, list):
        return [_dumped(each) for each in value]
    return ast.dump(value) if isinstance(value, ast.AST) else value


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 1))
