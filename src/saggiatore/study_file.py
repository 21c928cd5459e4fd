"""A study's file as YAML says it, and refusals of what YAML would pass over: a key that stands twice in one mapping
(the first would be lost without a word), aliases that contain themselves or multiply."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from saggiatore.errors import StudyError

_MOST_VALUES = 100_000  # of a study, with its aliases written out; the longest that is shipped has some hundreds
_DEEPEST = 100  # levels; libyaml builds nodes by recursion, and thousands of levels overrun its stack


def read_study_file(path: Path) -> Any:
    """Content of a study's file, not yet held against the schema.

    Raises:
        StudyError: if it is no text, no YAML, or does not say one thing only.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        _require_shallow(path, text)
        loader = yaml.CSafeLoader(text)  # libyaml: ten times as fast
        root = loader.get_single_node()
        if root is None:
            raise StudyError(f"{path}: is empty, expected a study. README.md says how one is written.")
        _require_small(path, root)
        _require_single_keys(path, root)
        return loader.construct_document(root)
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: byte {error.start} is no UTF-8 text. Save the file as UTF-8.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise StudyError(f"{path}: not valid YAML: {_said(error, text)}") from None


def _said(error: Exception, text: str) -> str:
    """A parser's words in one sentence, with the place in the file."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error)
    mark = error.problem_mark or error.context_mark
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    is_tab = mark and text[mark.index : mark.index + 1] == "\t"
    hint = " There is a tab; indent with spaces." if is_tab else ""
    return f"{', '.join(filter(None, (error.context, error.problem)))}{place}.{hint}"


def _require_shallow(path: Path, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            line = f" in line {event.start_mark.line + 1}" if event.start_mark else ""
            raise StudyError(f"{path}: more than {_DEEPEST} levels{line}; a study has a dozen.")


def _require_single_keys(path: Path, root: yaml.Node) -> None:
    for node in _nodes(root):
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise StudyError(
                    f"{path}: the key '{key.value}' stands twice in one mapping, in lines {lines[key.value]} and "
                    f"{line}. Keep one of them, or give the other another name."
                )
            lines[key.value] = line


def _require_small(path: Path, root: yaml.Node) -> None:
    """Aliases are references while the file is read, but every reader behind it walks all that they stand for."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_:
            line = node.start_mark.line + 1
            raise StudyError(f"{path}: the value that begins in line {line} contains itself by an alias. Write it out.")
        if id(node) not in sizes:
            open_.add(id(node))
            sizes[id(node)] = 1 + sum(size(each) for each in _children(node))
            open_.remove(id(node))
        return sizes[id(node)]

    if size(root) > _MOST_VALUES:
        raise StudyError(f"{path}: more than {_MOST_VALUES} values, with its aliases written out. Use fewer aliases.")


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once, however many aliases lead to it."""
    seen, todo = set(), [root]
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            seen.add(id(node))
            todo += _children(node)
            yield node


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
