"""A population of Operon's as plain data, and back: what a search needs to go on where it stopped.

Individuals are trees with their objectives; their ranks are found again by the first generation. pyoperon's own
pickling does not know them.
"""

from typing import Any

_TYPE = 8  # place of the node's type in its state


def dump(individuals: list) -> list:
    """Individuals as lists of what JSON has: each a tree (its nodes) and its objectives."""
    return [[_nodes(each.Genotype), [each.GetFitness(0), each.GetFitness(1)]] for each in individuals]


def restore(rows: list) -> list:
    """Individuals of what `dump` made."""
    return [_individual(*row) for row in rows]


def _nodes(tree: Any) -> list:
    states = [list(node.__getstate__()) for node in tree.Nodes]
    return [[*state[:_TYPE], state[_TYPE].name, *state[_TYPE + 1 :]] for state in states]


def _individual(nodes: list, objectives: list[float]) -> Any:
    import pyoperon

    individual = pyoperon.Individual()
    tree = pyoperon.Tree.__new__(pyoperon.Tree)
    tree.__setstate__(([_node(state) for state in nodes],))
    individual.Genotype = tree
    for place, value in enumerate(objectives):
        individual.SetFitness(value, place)
    return individual


def _node(state: list) -> Any:
    import pyoperon

    node = pyoperon.Node.__new__(pyoperon.Node)
    node.__setstate__((*state[:_TYPE], getattr(pyoperon.NodeType, state[_TYPE]), *state[_TYPE + 1 :]))
    return node
