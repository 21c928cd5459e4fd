"""The language of formulas: + - * /, integer and half-integer powers, sin, cos, exp, log, sqrt, square, cube.

Text is read through `ast` and a list of what is allowed: nothing is ever evaluated as code, so a formula file from a
stranger can at worst be refused. No jax here: PySR must not share a process with it.
"""

import ast
import keyword
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import sympy

from saggiatore.errors import FormulaError

FUNCTIONS: dict[str, type[sympy.Function]] = {
    function.__name__: function for function in (sympy.sin, sympy.cos, sympy.exp, sympy.log)
}
_NUMBERS = {"pi": sympy.pi, "E": sympy.E}
_POWERS = {"sqrt": sympy.Rational(1, 2), "square": sympy.Integer(2), "cube": sympy.Integer(3)}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_LANGUAGE = "+ - * /, integer and half-integer powers, sin, cos, exp, log, sqrt, square, cube"
_MAX_LENGTH = 20_000  # characters of a formula; far more than anyone can read

Number = Callable[[float], sympy.Expr]


def parse(text: str, number: Number = sympy.Float) -> sympy.Expr:
    """Read arithmetic such as ``a*x_p1*sin(delta_phi)`` or sympy's srepr; `number` makes the decimal literals.

    Raises:
        FormulaError: if the text is outside of the language of formulas.
    """
    if len(text) > _MAX_LENGTH:
        raise FormulaError(f"a formula of {len(text)} characters, expected at most {_MAX_LENGTH}.")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        expression = sympy.sympify(_read(tree.body, number))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise FormulaError(f"{text!r} is no formula ({error}); the language is {_LANGUAGE}.") from None
    check(expression)
    return expression


def check(expression: sympy.Expr) -> None:
    """Refuse an expression outside of the language, naming the part that is.

    Raises:
        FormulaError: if any node is not in the language.
    """
    for node in sympy.preorder_traversal(expression):
        if node.is_Symbol or node.is_Add or node.is_Mul or type(node) in FUNCTIONS.values() or _is_number(node):
            continue
        if node.is_Pow and node.exp.is_Rational and node.exp.q in (1, 2):
            continue
        raise FormulaError(f"'{node}' in '{expression}' is not in the language of formulas: {_LANGUAGE}.")


def symbol_names(expression: sympy.Expr) -> set[str]:
    """Names of all symbols, features and constants alike."""
    return {symbol.name for symbol in expression.free_symbols}


def evaluate(expression: sympy.Expr, values: Mapping[str, Any], numerics: Any) -> Any:
    """Value of an expression, where `numerics` is a module with numpy's names (numpy or jax.numpy)."""
    if expression.is_Symbol:
        return values[expression.name]
    if _is_number(expression):
        return float(expression)
    arguments = [evaluate(argument, values, numerics) for argument in expression.args]
    if expression.is_Add:
        return sum(arguments[1:], arguments[0])
    if expression.is_Mul:
        return math.prod(arguments[1:], start=arguments[0])
    if expression.is_Pow:
        return power(arguments[0], expression.exp, numerics)
    return getattr(numerics, type(expression).__name__)(*arguments)


def power(base: Any, exponent: sympy.Rational, numerics: Any) -> Any:
    """An integer or half-integer power by multiplication, so that negative bases stay real."""
    root = numerics.sqrt(base) if exponent.q == 2 else base
    positive = root ** abs(int(exponent.p))
    return 1.0 / positive if exponent.p < 0 else positive


def complexity(expression: sympy.Expr) -> int:
    r"""Number of nodes, counted as PySR does: each constant, variable and operator is one.

    Operators are the binary + - * / and the unary sin, cos, exp, log, sqrt, square, cube; any other integer power
    counts as an operator and a constant. A minus sign is free where a subtraction or a constant can carry it.
    """
    if expression.is_Symbol or _is_number(expression):
        return 1
    if expression.is_Add:
        return _complexity_of_sum(expression)
    if expression.is_Mul or expression.is_Pow:
        return _complexity_of_product(expression)
    return 1 + complexity(expression.args[0])


def _complexity_of_sum(expression: sympy.Expr) -> int:
    total, n_negative = len(expression.args) - 1, 0
    for term in expression.args:
        coefficient, rest = term.as_coeff_Mul()
        is_negative = coefficient == -1
        n_negative += is_negative
        total += complexity(rest if is_negative else term)
    return total + 2 * (n_negative == len(expression.args))


def _complexity_of_product(expression: sympy.Expr) -> int:
    """Factors of one power are counted under one power: square(x y) rather than square(x) square(y)."""
    bases: dict[sympy.Rational, list[sympy.Expr]] = defaultdict(list)
    for factor in sympy.Mul.make_args(expression):
        base, exponent = (factor.base, factor.exp) if factor.is_Pow else (factor, sympy.Integer(1))
        bases[exponent].append(base)
    total, n_groups = 0, 0
    for exponent, group in bases.items():
        total += sum(complexity(base) for base in group) + len(group) - 1 + _complexity_of_power(abs(exponent))
        n_groups += 1
    if all(exponent < 0 for exponent in bases):
        total, n_groups = total + 1, n_groups + 1  # the 1 of 1/x
    return total + n_groups - 1


def _complexity_of_power(exponent: sympy.Rational) -> int:
    if exponent == 1:
        return 0
    return 1 if exponent in _POWERS.values() else 2


def fill(expression: sympy.Expr, values: Mapping[str, float]) -> sympy.Expr:
    """Put numbers in the place of constants, and keep the form: sympy would expand 0.5*(x + y)."""
    if expression.is_Symbol:
        return sympy.Float(values[expression.name]) if expression.name in values else expression
    if not expression.args or _is_number(expression):
        return expression
    return expression.func(*(fill(argument, values) for argument in expression.args), evaluate=False)


def _is_number(node: sympy.Expr) -> bool:
    return bool(node.is_Float or node.is_Rational or node in _NUMBERS.values())


def _read(node: ast.expr, number: Number) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return sympy.Integer(node.value) if isinstance(node.value, int) else number(_finite(node.value))
    if isinstance(node, ast.Name):
        return _NUMBERS.get(node.id) or _symbol(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        return _read_signed(node, number)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _read(node.left, number), _read(node.right, number)
        if isinstance(node.op, ast.Pow):
            return _raise(left, right)
        return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _read_call(node.func.id, node, number)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
        raise FormulaError(f"'{ast.unparse(node)}': write a power as x**2, not x^2.")
    raise FormulaError(f"'{ast.unparse(node)}' is not in the language of formulas: {_LANGUAGE}.")


def _read_signed(node: ast.UnaryOp, number: Number) -> Any:
    """A sign belongs to the literal that it stands before: -1.5 is one constant."""
    if isinstance(node.operand, ast.Constant) and isinstance(node.operand.value, float):
        value = _finite(node.operand.value)
        return number(-value if isinstance(node.op, ast.USub) else value)
    operand = _read(node.operand, number)
    return -operand if isinstance(node.op, ast.USub) else operand


def _raise(base: sympy.Expr, exponent: Any) -> sympy.Expr:
    if getattr(exponent, "is_Float", False) and float(2 * exponent).is_integer():
        exponent = sympy.Rational(int(2 * exponent), 2)
    if not (getattr(exponent, "is_Rational", False) and abs(exponent) <= 64):
        raise FormulaError(f"the power '{base}**{exponent}': expected an integer or half-integer exponent up to 64.")
    return sympy.Pow(base, exponent)


def _read_call(name: str, node: ast.Call, number: Number) -> Any:
    if name in _SREPR_ATOMS:
        return _SREPR_ATOMS[name](node, number)
    if node.keywords:
        raise FormulaError(f"'{ast.unparse(node)}': functions of formulas take no keywords.")
    arguments = [_read(argument, number) for argument in node.args]
    if name in ("Add", "Mul") and arguments:
        return (sympy.Add if name == "Add" else sympy.Mul)(*arguments)
    if name == "Pow" and len(arguments) == 2:
        return _raise(*arguments)
    if len(arguments) != 1:
        raise FormulaError(
            f"'{ast.unparse(node)}': {name} is not in the language ({_LANGUAGE}), or takes one argument."
        )
    if name in _POWERS:
        return sympy.Pow(arguments[0], _POWERS[name])
    if name in FUNCTIONS:
        return FUNCTIONS[name](arguments[0])
    raise FormulaError(f"the function '{name}' is not in the language of formulas: {_LANGUAGE}.")


def _literal(node: ast.Call, kinds: type | tuple[type, ...], count: int) -> list[Any]:
    values = [ast.literal_eval(argument) for argument in node.args]
    if len(values) != count or not all(isinstance(value, kinds) for value in values):
        raise FormulaError(f"'{ast.unparse(node)}' is not what sympy's srepr writes.")
    return values


def _symbol(name: str) -> sympy.Symbol:
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise FormulaError(f"'{name}' cannot name a feature or a constant; use letters, digits and underscores.")
    return sympy.Symbol(name)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise FormulaError(f"the constant {value} is not finite.")
    return value


_SREPR_ATOMS: dict[str, Callable[[ast.Call, Number], Any]] = {
    "Symbol": lambda node, number: _symbol(_literal(node, str, 1)[0]),
    "Integer": lambda node, number: sympy.Integer(_literal(node, int, 1)[0]),
    "Rational": lambda node, number: sympy.Rational(*_literal(node, int, 2)),
    "Float": lambda node, number: number(_finite(float(_literal(node, (str, float), 1)[0]))),
}
