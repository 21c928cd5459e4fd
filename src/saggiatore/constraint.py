"""Limits that fields of a spec set each other: stated once, checked when a spec is made and when a study is planned.

A constraint is an expression of the fields. It goes into the JSON Schema as it is, so that planning, which imports no
spec class, refuses the same studies with the same words.
"""

import math
from collections.abc import Mapping
from functools import cache
from types import CodeType
from typing import Any, NamedTuple

# all that an expression may call
_CALLED = (all, any, bool, isinstance, len, max, min, set, sum, tuple, zip)
_NAMES = {"__builtins__": {}, "hypot": math.hypot, "pi": math.pi} | {each.__name__: each for each in _CALLED}


class Constraint(NamedTuple):
    """What must hold between fields, and what is said where it does not.

    Args:
        holds: a Python expression of the fields' names; fields of a field by a dot, quantities as numbers in GeV.
        says: what came, what was expected and what to do, with the fields in braces, as `str.format` has them.
    """

    holds: str
    says: str

    def complaint(self, fields: Mapping[str, Any]) -> str | None:
        """What is wrong with `fields`; None if nothing is."""
        if eval(_compiled(self.holds), _NAMES | dict(fields)):  # the project's own text, never a study's
            return None
        return self.says.format(**fields)


@cache
def _compiled(text: str) -> CodeType:
    return compile(text, text, "eval")
