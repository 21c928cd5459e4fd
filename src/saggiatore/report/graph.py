"""The jobs of a study as a graph with times: SVG that stands inside a page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from saggiatore.record import Record

_SHARD = re.compile(r"\.(shard-\d+|file)$")
_BOX = (168, 40)  # px
_GAP = (56, 12)


@dataclass(frozen=True)
class Node:
    """Jobs of one section and step; shards are one."""

    name: str
    n_jobs: int
    start: str
    seconds: float  # of all its jobs together
    memory: float  # of the largest one, MB
    level: int
    above: tuple[str, ...]


def nodes(records: Mapping[str, Record]) -> list[Node]:
    """The graph of all jobs but those that only freeze a section into its spec, in the order in which they began."""
    jobs = {name: record for name, record in records.items() if record.step != "spec"}
    makers = {path: _node_name(name) for name, record in jobs.items() for path in record.outputs}
    members: dict[str, list[Record]] = {}
    for name, record in jobs.items():
        members.setdefault(_node_name(name), []).append(record)
    above = {
        name: tuple(sorted({makers[path] for record in group for path in record.inputs if path in makers} - {name}))
        for name, group in members.items()
    }
    levels: dict[str, int] = {}
    for name in members:
        _level(name, above, levels)
    found = [
        Node(
            name=name,
            n_jobs=len(group),
            start=min(record.start for record in group),
            seconds=sum(record.seconds for record in group),
            memory=max(record.memory for record in group),
            level=levels[name],
            above=above[name],
        )
        for name, group in members.items()
    ]
    return sorted(found, key=lambda node: (node.start, node.name))


def draw(graph: list[Node]) -> str:
    """SVG of the graph, from left to right; the darker a box, the larger its share of the time."""
    columns: dict[int, list[Node]] = {}
    for node in graph:
        columns.setdefault(node.level, []).append(node)
    places = {
        node.name: (level * (_BOX[0] + _GAP[0]), row * (_BOX[1] + _GAP[1]))
        for level, column in columns.items()
        for row, node in enumerate(column)
    }
    width = len(columns) * (_BOX[0] + _GAP[0]) - _GAP[0]
    height = max(map(len, columns.values()), default=0) * (_BOX[1] + _GAP[1])
    longest = max((node.seconds for node in graph), default=1.0) or 1.0
    edges = [_edge(places[name], places[node.name]) for node in graph for name in node.above]
    boxes = [_box(node, *places[node.name], node.seconds / longest) for node in graph]
    return (
        f'<svg viewBox="-2 -2 {width + 4} {height + 4}" width="{width + 4}" height="{height + 4}" role="img" '
        f'aria-label="Jobs of the study and what they wait for; the table below has the same.">'
        f"{''.join(edges)}{''.join(boxes)}</svg>"
    )


def duration(seconds: float) -> str:
    """``2.4 s``, ``3 min 20 s``, ``1 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _node_name(job: str) -> str:
    """A shard is told from the events that it becomes part of."""
    return _SHARD.sub(".shards", job)


def _level(name: str, above: Mapping[str, tuple[str, ...]], levels: dict[str, int]) -> int:
    if name not in levels:
        levels[name] = max((_level(each, above, levels) + 1 for each in above[name]), default=0)
    return levels[name]


def _edge(source: tuple[int, int], target: tuple[int, int]) -> str:
    x1, y1, x2, y2 = source[0] + _BOX[0], source[1] + _BOX[1] / 2, target[0], target[1] + _BOX[1] / 2
    middle = (x1 + x2) / 2
    return f'<path class="edge" d="M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"/>'


def _box(node: Node, x: int, y: int, share: float) -> str:
    jobs = f" in {node.n_jobs} jobs" if node.n_jobs > 1 else ""
    return (
        f"<g><title>{escape(node.name)}: {duration(node.seconds)}{jobs}</title>"
        f'<rect x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="5" fill-opacity="{0.08 + 0.4 * share:.2f}"/>'
        f'<text x="{x + 9}" y="{y + 17}">{escape(node.name)}</text>'
        f'<text class="time" x="{x + 9}" y="{y + 32}">{duration(node.seconds)}{jobs}</text></g>'
    )
