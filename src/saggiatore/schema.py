"""Faults of a study and the references in it, read off the generated JSON Schema.

Snakemake parses the workflow often (every cluster job does), so this module imports neither jax nor a spec class: the
schema in ``config/schema`` was generated from them, and a test keeps it in step.
"""

import difflib
import math
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import jsonschema

from saggiatore.constraint import Constraint
from saggiatore.errors import StudyError
from saggiatore.units import outside, parse_quantity


class Reference(NamedTuple):
    """A field of a section that names another section: `artefact` of `stage`/`label` is an input."""

    field: str
    stage: str
    artefact: str
    label: str


def faults(schema: dict, node: dict, value: object, place: str = "") -> Iterator[str]:
    """What is wrong with `value` as an instance of `node`: where, what came, what was expected, what to do."""
    node, wrong = _choose(schema, _resolve(schema, node), value, place)
    if wrong:
        yield wrong
        return
    if isinstance(value, dict) and node.get("type") == "object":
        found = list(_object_faults(schema, node, value, place))
        yield from found or _broken(schema, node, value, place)  # a wrong value limits no other one
        return
    if isinstance(value, list) and node.get("type") == "array":
        shallow = {key: item for key, item in node.items() if key not in ("items", "prefixItems")}
        yield from _leaf_faults(schema, shallow, value, place)
        for index, item in enumerate(value):
            yield from faults(schema, node.get("items", {}), item, f"{place}[{index}]")
        return
    yield from _leaf_faults(schema, node, value, place)


def references(schema: dict, node: dict, value: object, place: str = "") -> Iterator[Reference]:
    """All fields of `value` that name an upstream section, in the order in which the specs declare them."""
    node, wrong = _choose(schema, _resolve(schema, node), value, place)
    if wrong or value is None:
        return
    if "x-stage" in node:
        yield Reference(place, node["x-stage"], node["x-artefact"], str(value))
    elif isinstance(value, dict):
        order = list(node.get("properties", {}))
        for key in sorted(value, key=lambda name: order.index(name) if name in order else len(order)):
            yield from references(schema, child(node, key) or {}, value[key], f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for item in value:
            yield from references(schema, node.get("items", {}), item, place)


def marked(schema: dict, node: dict, value: object, mark: str, place: str = "") -> Iterator[tuple[str, str, str]]:
    """(place, the mark's value, the field's value) of every field that carries the schema keyword `mark`."""
    node, wrong = _choose(schema, _resolve(schema, node), value, place)
    if wrong or value is None:
        return
    if mark in node and isinstance(value, str):
        yield place, node[mark], value
    elif isinstance(value, dict):
        names = node.get("propertyNames", {})
        for key, item in value.items():
            if mark in names:
                yield f"{place}.{key}", names[mark], key
            yield from marked(schema, child(node, key) or {}, item, mark, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from marked(schema, node.get("items", {}), item, mark, f"{place}[{index}]")


def complete(schema: dict, node: dict, value: Any) -> Any:
    """`value` with the defaults of the specs filled in, so that a frozen spec says everything."""
    node, _ = _choose(schema, _resolve(schema, node), value, "")
    if isinstance(value, list):
        return [complete(schema, node.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    full = {key: field["default"] for key, field in node.get("properties", {}).items() if "default" in field}
    return full | {key: complete(schema, child(node, key) or {}, item) for key, item in value.items()}


def require_valid(schema: dict, value: object, name: str) -> None:
    """Raise a StudyError that lists every fault of a study."""
    found = list(faults(schema, schema, value))
    if found:
        listed = "\n  ".join(found)
        raise StudyError(f"study '{name}' cannot be built:\n  {listed}")


def closest(name: str, names: list[str]) -> str:
    """'did you mean ...' and the list of what there is."""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{hint}There are: {', '.join(names) or 'none'}."


def _resolve(schema: dict, node: dict) -> dict:
    while "$ref" in node:
        rest = {key: item for key, item in node.items() if key != "$ref"}
        node = {**schema["$defs"][node["$ref"].rsplit("/", 1)[1]], **rest}
    if "allOf" in node and len(node["allOf"]) == 1:
        node = {**_resolve(schema, node["allOf"][0]), **{k: v for k, v in node.items() if k != "allOf"}}
    return node


def _choose(schema: dict, node: dict, value: Any, place: str) -> tuple[dict, str]:
    """The branch of a union that `value` belongs to: by `kind` or its like, or None against the rest."""
    if "discriminator" in node:
        key, names = node["discriminator"]["propertyName"], node["discriminator"]["names"]
        kind = value.get(key, node["discriminator"].get("default")) if isinstance(value, dict) else None
        if kind is None:
            return node, f"{place}: got {value!r}, expected a mapping with '{key}', one of: {', '.join(names)}."
        for option in (_resolve(schema, option) for option in node["oneOf"]):
            if option["properties"][key].get("const") == kind:
                return option, ""
        return node, f"{place}.{key}: nothing is called '{kind}'; {closest(str(kind), names)}"
    if "anyOf" in node:
        options = [_resolve(schema, option) for option in node["anyOf"]]
        options.sort(key=lambda option: value not in option.get("enum", ()))  # a text may be a name or a quantity
        node = {**node, "x-choices": [name for option in options for name in option.get("enum", ())]}
        types: dict[str, type] = {"object": dict, "array": list, "string": str, "null": type(None)}
        for option in options:
            if option.get("type") in types and isinstance(value, types[option["type"]]):
                return {**option, **{k: v for k, v in node.items() if k.startswith("x-")}}, ""
    return node, ""


def child(node: dict, key: str) -> dict | None:
    """Schema of the value under `key` of an object; None where the object can have no such key."""
    if key in node.get("properties", {}):
        return node["properties"][key]
    patterns = node.get("patternProperties", {})
    for pattern, found in patterns.items():
        if re.search(pattern, key):
            return found
    extra = node.get("additionalProperties", not patterns)
    return extra if isinstance(extra, dict) else {} if extra else None


def _object_faults(schema: dict, node: dict, value: dict, place: str) -> Iterator[str]:
    properties = node.get("properties", {})
    for key in node.get("required", ()):
        if key not in value:
            yield f"{place or 'study'}: the key '{key}' is missing ({properties[key].get('description', 'required')})."
    if len(value) < node.get("minProperties", 0):
        yield f"{place}: empty, expected at least one entry."
    for key, item in value.items():
        where = f"{place}.{key}" if place else str(key)
        found = child(node, str(key))
        if found is not None:
            yield from _leaf_faults(schema, node.get("propertyNames", {}), key, f"{where} (the name)")
            yield from faults(schema, found, item, where)
        elif "patternProperties" in node:
            wanted = "up to 100 lower-case letters, digits and underscores, a letter first"
            yield f"{where}: not a label; expected {wanted}."
        else:
            yield f"{where}: unknown key; {closest(str(key), list(properties))}"


def _broken(schema: dict, node: dict, value: dict, place: str) -> Iterator[str]:
    """The first of the constraints between its fields that an object does not keep."""
    constraints = [Constraint(**each) for each in node.get("x-constraints", ())]
    fields = vars(plain(schema, node, complete(schema, node, value))) if constraints else {}
    for constraint in constraints:
        if complaint := constraint.complaint(fields):
            yield f"{place}: {complaint}" if place else complaint
            return


def plain(schema: dict, node: dict, value: Any) -> Any:
    """`value` as its spec has it: quantities as numbers, objects with a name for each field."""
    node, _ = _choose(schema, _resolve(schema, node), value, "")
    if isinstance(value, list):
        return tuple(plain(schema, node.get("items", {}), item) for item in value)
    if not isinstance(value, dict):
        return parse_quantity(node["x-unit"], value) if "x-unit" in node and isinstance(value, str) else value
    fields = {str(key): plain(schema, child(node, str(key)) or {}, item) for key, item in value.items()}
    return SimpleNamespace(**fields) if node.get("properties") else fields


def _leaf_faults(schema: dict, node: dict, value: object, place: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):  # no JSON: it lies within every limit, and outside
        yield f"{place}: got {value!r}, expected a finite number."
        return
    document = {**node, "$defs": schema.get("$defs", {})}
    errors = list(jsonschema.Draft202012Validator(document).iter_errors(value))
    for error in errors:
        quantity = next((option for option in (node, *node.get("anyOf", ())) if "x-unit" in option), None)
        if quantity:
            wanted = f"a quantity in {quantity['x-unit']}, such as '{quantity['examples'][0]}'"
            yield f"{place}: got {value!r}, expected {' or '.join([wanted, *node.get('x-choices', ())])}."
        elif error.validator == "anyOf":
            wanted = " or ".join(str(option.get("type", option)) for option in node["anyOf"])
            yield f"{place}: got {value!r}, expected {wanted}."
        else:
            yield f"{place or 'the whole of it'}: {error.message}."
    if "x-limits" in node and isinstance(value, str) and not errors:
        missed = outside(node["x-unit"], value, node["x-limits"])
        if missed:
            yield f"{place}: got {value!r}, expected a quantity {missed}."
