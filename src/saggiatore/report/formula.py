"""Formulas as a browser sets them: LaTeX becomes MathML."""

import re

from latex2mathml.converter import convert
from markupsafe import Markup

_FUNCTION = re.compile("(<mi>(?:sin|cos|exp|log)</mi>)(?=<m(?:i|n|sub|sup|subsup|frac)>)")  # before a bare argument


def typeset(latex: str) -> Markup:
    """MathML of a formula, set as a display."""
    return Markup(_FUNCTION.sub(r'\1<mspace width="0.167em"/>', convert(latex, display="block")))
