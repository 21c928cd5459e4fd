"""A formula: an expression in named features with fitted constants and their covariance, as it is archived and used."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy

from saggiatore.distill import export
from saggiatore.distill.expression import check, complexity, evaluate, parse, symbol_names
from saggiatore.distill.latex import latex
from saggiatore.distill.parametric import Parametric, simplest
from saggiatore.errors import FormulaError
from saggiatore.files import atomic
from saggiatore.types import Array, Features, Float, Scalar

FORMAT_VERSION = 1
_KEYS = (
    "format",
    "kind",
    "name",
    "features",
    "expression",
    "constants",
    "covariance",
    "quality",
    "engine",
    "provenance",
)


@dataclass(frozen=True)
class Feature:
    """A feature by name, with its unit and its label (LaTeX, with or without dollars)."""

    name: str
    unit: str = "1"
    label: str = ""


@dataclass(frozen=True)
class Formula:
    """Score of the parameter `name` as a function of features.

    `constants` are the named constants' values, in the order of the rows of `covariance`. `quality` holds mean squared
    errors and what they were measured on; `engine` its name and version, empty for a form that a person wrote.

    Raises:
        FormulaError: if symbols, constants and covariance do not fit each other.
    """

    name: str
    features: tuple[Feature, ...]
    expression: sympy.Expr
    constants: dict[str, float] = field(default_factory=dict)
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    quality: dict[str, float] = field(default_factory=dict)
    engine: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self.expression)
        known = [*self.feature_names, *self.constants]
        unknown = symbol_names(self.expression) - set(known)
        if unknown or len(set(known)) != len(known):
            raise FormulaError(
                f"formula '{self.expression}' of {', '.join(known)}: every symbol must be a feature or a constant, and "
                f"no name may be both; unknown are {sorted(unknown)}."
            )
        n = len(self.constants)
        if self.covariance.shape != (n, n) or not np.all(np.isfinite(self.covariance)):
            raise FormulaError(f"covariance of shape {self.covariance.shape}, expected finite numbers, {n} by {n}.")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in the order in which `function` takes them."""
        return tuple(feature.name for feature in self.features)

    @property
    def errors(self) -> dict[str, float]:
        """Standard deviation of each constant."""
        return dict(zip(self.constants, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def complexity(self) -> int:
        """Number of nodes, counted as PySR does, with no more constants than the form needs."""
        return complexity(simplest(Parametric(self.expression, self.constants), self.feature_names).expression)

    def function(self) -> Callable[[Features], Scalar]:
        """Value at one event's features, in the order of `feature_names`; differentiable, vmap it over events."""
        theta = jnp.array(list(self.constants.values()))
        return lambda features: self._value(features, theta)

    def std(self) -> Callable[[Features], Scalar]:
        """Standard deviation at one event's features, from the constants' covariance by linear propagation."""
        theta, covariance = jnp.array(list(self.constants.values())), jnp.asarray(self.covariance)

        def deviation(features: Features) -> Scalar:
            slope = jax.grad(self._value, argnums=1)(features, theta)
            return jnp.sqrt(slope @ covariance @ slope)

        return deviation if self.constants else lambda features: jnp.zeros_like(features, shape=())

    def _value(self, features: Features, theta: Float[Array, " constant"]) -> Scalar:
        values = {name: features[place] for place, name in enumerate(self.feature_names)}
        values |= {name: theta[place] for place, name in enumerate(self.constants)}
        return jnp.asarray(evaluate(self.expression, values, jnp), dtype=features.dtype)

    def latex(self) -> str:
        """LaTeX with each constant's error in brackets, in units of its last digits: 0.5925(12)."""
        labels = {feature.name: feature.label or rf"\mathrm{{{feature.name}}}" for feature in self.features}
        return latex(self.expression, self.constants, labels, self.errors)

    def to_python(self) -> str:
        """A Python function of the features (numbers or numpy arrays)."""
        body = export.render(self.expression, export.PYTHON, self._same_names())
        lines = [f"def {self._function_name()}({', '.join(self.feature_names)}):"]
        lines += [f"    {name} = {export.number(value)}" for name, value in self.constants.items()]
        return "\n".join(["import numpy as np", "", "", *lines, f"    return {body}", ""])

    def to_cpp(self) -> str:
        """A C++ function of the features (double)."""
        body = export.render(self.expression, export.CPP, self._same_names())
        arguments = ", ".join(f"double {name}" for name in self.feature_names)
        lines = [f"double {self._function_name()}({arguments}) {{"]
        lines += [f"  const double {name} = {export.number(value)};" for name, value in self.constants.items()]
        return "\n".join(["#include <cmath>", "", *lines, f"  return {body};", "}", ""])

    def to_tformula(self) -> str:
        """Expression of a ROOT TFormula: x[i] is feature i of `feature_names`, [i] is constant i of `constants`."""
        symbols = {name: f"x[{place}]" for place, name in enumerate(self.feature_names)}
        symbols |= {name: f"[{place}]" for place, name in enumerate(self.constants)}
        return export.render(self.expression, export.TFORMULA, symbols)

    def write(self, path: Path) -> None:
        """Write as JSON, atomically; `shown` repeats the formula for human readers and other programs."""
        content = {
            "format": FORMAT_VERSION,
            "kind": "formula",
            "name": self.name,
            "features": [vars(feature) for feature in self.features],
            "expression": sympy.srepr(self.expression),
            "constants": self.constants,
            "covariance": self.covariance.tolist(),
            "quality": self.quality,
            "engine": self.engine,
            "provenance": self.provenance,
            "shown": {
                "text": str(self.expression),
                "complexity": self.complexity,
                "latex": self.latex(),
                "python": self.to_python(),
                "cpp": self.to_cpp(),
                "tformula": self.to_tformula(),
                "errors": self.errors,
            },
        }
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Formula":
        """Read a formula; nothing in the file is evaluated as code.

        Raises:
            FormulaError: if the file is missing, damaged or no formula of this format.
        """
        content = _read_json(Path(path))
        try:
            return cls(
                name=str(content["name"]),
                features=tuple(Feature(**feature) for feature in content["features"]),
                expression=parse(content["expression"]),
                constants={str(name): float(value) for name, value in content["constants"].items()},
                covariance=np.array(content["covariance"], dtype=float).reshape(2 * (len(content["constants"]),)),
                quality=content["quality"],
                engine=content["engine"],
                provenance=content["provenance"],
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise FormulaError(f"{path}: damaged formula ({error}). Re-run the rule that makes it.") from None

    def _same_names(self) -> dict[str, str]:
        return {name: name for name in (*self.feature_names, *self.constants)}

    def _function_name(self) -> str:
        return f"score_{self.name}"


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        damaged = None if isinstance(error, OSError) else path
        raise FormulaError(
            f"{path}: no readable formula ({error}). Check the path, or run its rule.", damaged=damaged
        ) from None
    if not isinstance(content, dict) or content.get("kind") != "formula" or content.get("format") != FORMAT_VERSION:
        raise FormulaError(f"{path}: is no formula of format {FORMAT_VERSION}. Check the path you gave.")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise FormulaError(f"{path}: the formula lacks {', '.join(missing)}. Re-run the rule that makes it.")
    return content
