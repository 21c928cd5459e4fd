"""Points in the space of parameters or coefficients, as a command line states them."""

import numpy as np

from saggiatore.errors import StudyError
from saggiatore.types import Float


def parse_point(text: str, known: tuple[str, ...], flag: str, kind: str) -> Float[np.ndarray, " known"]:
    """Values of the `known` names in a text such as "a=1,b=-2"; those not named are zero.

    `flag` and `kind` are what the error calls the text and its names.

    Raises:
        StudyError: if a name is unknown, or a value is no finite number.
    """
    values = dict.fromkeys(known, 0.0)
    for item in text.split(","):
        name, _, value = (part.strip() for part in item.partition("="))
        if name not in values:
            raise StudyError(f"{flag} {text}: no {kind} is called '{name}'; there are {', '.join(known)}.")
        try:
            values[name] = float(value)
        except ValueError:
            raise StudyError(f"{flag} {text}: '{item}' is not name=number, such as {name}=5.") from None
    point = np.array(list(values.values()))
    if not np.isfinite(point).all():
        raise StudyError(f"{flag} {text}: every value must be finite.")
    return point
