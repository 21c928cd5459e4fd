"""The jobs of a study as a graph with times: SVG that stands inside a page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from saggiatore.record import Record

_SHARD = re.compile(r"\.(shard-\d+|island-\d+|file|model|ratio)$")
_BOX = (168, 40)  # px
_GAP = (14, 30)


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
    """SVG of the graph, from top to bottom; the darker a box, the larger its share of the time.

    A line is drawn only where no longer way leads from one box to the other.
    """
    rows: dict[int, list[Node]] = {}
    for node in graph:
        rows.setdefault(node.level, []).append(node)
    widest = max(map(len, rows.values()), default=0)
    step = _BOX[0] + _GAP[0], _BOX[1] + _GAP[1]
    places = {
        node.name: (round((widest - len(row)) * step[0] / 2) + place * step[0], level * step[1])
        for level, row in rows.items()
        for place, node in enumerate(row)
    }
    width, height = widest * step[0] - _GAP[0] + 4, len(rows) * step[1] - _GAP[1] + 4
    longest = max((node.seconds for node in graph), default=0.0) or 1.0
    edges = [_edge(places[name], places[node.name]) for node in graph for name in _nearest(node, graph)]
    boxes = [_box(node, *places[node.name], node.seconds / longest) for node in graph]
    return (
        f'<svg viewBox="-2 -2 {width} {height}" width="{width}" height="{height}" role="img" '
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


def _nearest(node: Node, graph: list[Node]) -> list[str]:
    """What a node waits for, without what is waited for anyway."""
    above = {each.name: each.above for each in graph}

    farther: set[str] = set()
    todo = [each for name in node.above for each in above[name]]
    while todo:
        name = todo.pop()
        if name not in farther:
            farther.add(name)
            todo += above[name]
    return [name for name in node.above if name not in farther]


def _edge(source: tuple[int, int], target: tuple[int, int]) -> str:
    x1, y1, x2, y2 = source[0] + _BOX[0] // 2, source[1] + _BOX[1], target[0] + _BOX[0] // 2, target[1]
    middle = (y1 + y2) // 2
    return f'<path class="edge" d="M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}"/>'


def _box(node: Node, x: int, y: int, share: float) -> str:
    jobs = f" in {node.n_jobs} jobs" if node.n_jobs > 1 else ""
    return (
        f"<g><title>{escape(node.name)}: {duration(node.seconds)}{jobs}</title>"
        f'<rect class="ground" x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="5"/>'
        f'<rect x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="5" fill-opacity="{0.08 + 0.4 * share:.2f}"/>'
        f'<text x="{x + 9}" y="{y + 17}">{escape(node.name)}</text>'
        f'<text class="time" x="{x + 9}" y="{y + 32}">{duration(node.seconds)}{jobs}</text></g>'
    )
