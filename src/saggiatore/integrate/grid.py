"""The table that an adapted sampler is kept in: named arrays, one number a row."""

from collections.abc import Mapping

import numpy as np

from saggiatore.errors import SchemaError
from saggiatore.tables import Column, Table, TableSchema

GRID = TableSchema(
    "grid",
    2,
    (
        Column(
            "array", "1", "what the number belongs to: edges of bins, probabilities, parameters of a network", "", "str"
        ),
        Column("row", "1", "place along the array's first axis", kind="int"),
        Column("column", "1", "place along all its other axes, the last one fastest", kind="int"),
        Column("value", "1", "the number"),
    ),
)


def grid_columns(arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Columns of `GRID` from arrays of at least one dimension."""
    flat = {name: np.asarray(array).reshape(len(array), -1) for name, array in arrays.items()}
    rows, columns = np.concatenate([np.indices(part.shape).reshape(2, -1) for part in flat.values()], axis=1)
    names = np.repeat(list(flat), [part.size for part in flat.values()])
    value = np.concatenate([part.ravel() for part in flat.values()])
    return {"array": names, "row": rows, "column": columns, "value": value}


def grid_arrays(table: Table) -> dict[str, np.ndarray]:
    """The arrays that `grid_columns` laid out, each of two dimensions.

    Raises:
        SchemaError: if numbers of an array are missing or doubled.
    """
    arrays = {}
    for name, part in table.data.groupby("array", sort=False):
        rows, columns = part["row"].to_numpy(), part["column"].to_numpy()
        shape = (int(rows.max()) + 1, int(columns.max()) + 1)
        if len(np.unique(rows * shape[1] + columns)) != len(part) or len(part) != shape[0] * shape[1]:
            raise SchemaError(
                f"array '{name}' has {len(part)} numbers, expected {shape[0]} x {shape[1]}, each once. "
                "Re-run the sampler."
            )
        array = np.empty(shape)
        array[rows, columns] = part["value"].to_numpy()
        arrays[str(name)] = array
    return arrays


def require_shape(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array called `name`, in its own shape.

    Raises:
        SchemaError: if it is not there or has another number of elements.
    """
    found = arrays.get(name, np.empty(0))
    if found.size != np.prod(shape):
        raise SchemaError(
            f"the array '{name}' has {found.size} numbers, expected {' x '.join(map(str, shape))} for this process and "
            "these settings. Re-run the sampler."
        )
    return found.reshape(shape)
