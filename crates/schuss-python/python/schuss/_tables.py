"""Tables of pandas, Polars and Arrow whose columns are not all numbers: what the model makes of them, kept in its schema."""

import warnings

import numpy as np

from ._schuss import Schema

# A column stands for each category up to so many.
_MOST_CATEGORIES = 1000


def columns(table):
    """The columns of a table as (name, values), values being an array or a list of Python's values; None of what is none."""
    if hasattr(table, "column_names") and hasattr(table, "to_pydict"):
        return list(zip(table.column_names, map(_of_arrow, table.columns)))
    if type(table).__module__.split(".")[0] == "polars" and hasattr(table, "get_columns"):
        return [(column.name, _of_polars(column)) for column in table.get_columns()]
    if hasattr(table, "dtypes") and getattr(table, "ndim", 0) == 2:
        return [(name, _of_pandas(column)) for name, column in table.items()]
    return None


def fit(found):
    """The schema of these columns, if there are words, times or missing values among them, which the model makes inputs of."""
    if not any(map(_is_mixed, (values for _, values in found or ()))):
        return None
    return Schema.fit([(str(name), _cells(name, values)) for name, values in found], _MOST_CATEGORIES)


def encode(schema, found):
    """The inputs of the rows of these columns, which are those of the schema in any order, with others beside them."""
    if found is None:
        names = ", ".join(repr(name) for name, _, _ in schema.columns())
        raise ValueError(f"X: expected a table with the columns {names}, as in fit")
    found = {str(name): values for name, values in found}
    missing = [name for name, _, _ in schema.columns() if name not in found]
    if missing:
        raise ValueError(f"X: the columns {', '.join(map(repr, missing))} are missing, which the model was fitted with")
    for name, is_time, _ in schema.columns():
        if is_time and not isinstance(found[name], _Times):
            raise ValueError(f"column {name!r}: expected times as in training, got another type; pandas.to_datetime makes them")
    cells = [(name, _cells(name, found[name], names)) for name, _, names in schema.columns()]
    # Memory of NumPy's own, which can be marked read-only and writeable again.
    return schema.encode(cells).copy()


def _of_pandas(column):
    import pandas

    if pandas.api.types.is_datetime64_any_dtype(column.dtype):
        return _times(column.to_numpy(dtype="datetime64[ns]"))
    if pandas.api.types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers.view(_Truths) if pandas.api.types.is_bool_dtype(column.dtype) else numbers
    # Categories are names, numbers among them, too.
    is_category = isinstance(column.dtype, pandas.CategoricalDtype)
    pairs = zip(column.tolist(), column.isna())
    return [None if is_missing else _word(value) if is_category else value for value, is_missing in pairs]


def _of_polars(column):
    import polars

    if column.dtype in (polars.Date, polars.Datetime):
        return _times(column.cast(polars.Datetime("ns")).to_numpy())
    if column.dtype.is_numeric() or column.dtype == polars.Boolean:
        numbers = column.cast(polars.Float64).to_numpy()
        return numbers.view(_Truths) if column.dtype == polars.Boolean else numbers
    return column.to_list()


def _of_arrow(column):
    import pyarrow

    kind = column.type
    if pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind):
        return _times(column.cast(pyarrow.timestamp("ns")).to_numpy())
    if pyarrow.types.is_boolean(kind) or pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind):
        # What is missing is NaN there.
        numbers = column.cast(pyarrow.float64()).to_numpy()
        return numbers.view(_Truths) if pyarrow.types.is_boolean(kind) else numbers
    return column.to_pylist()


class _Times(np.ndarray):
    """Seconds since 1970."""


class _Truths(np.ndarray):
    """1 for true, 0 for false."""


def _times(values):
    seconds = values.astype("datetime64[ns]").astype(np.int64) / 1e9
    seconds[np.isnat(values)] = np.nan
    return seconds.view(_Times)


def _is_mixed(values):
    if isinstance(values, (list, _Times)):
        return True
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def _cells(name, values, names=None):
    """A column's values as the binding takes them; categories by `names`, by those that are there without."""
    if isinstance(values, list) and names is None and all(v is None or isinstance(v, (bool, int, float)) for v in values):
        values = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    if isinstance(values, list) or names is not None:
        words = [_word(v, isinstance(values, _Truths)) for v in (values if isinstance(values, list) else values.tolist())]
        known = sorted({word for word in words if word is not None}) if names is None else names
        # Of a text, true and false may be in capitals.
        places = {word.lower(): place for place, word in enumerate(known) if word.lower() in ("true", "false")}
        places |= {word: place for place, word in enumerate(known)}
        # What is not known is a category beyond the last, which the schema takes as unknown.
        codes = [-1 if word is None else places.get(word, len(known)) for word in words]
        if len(known) in codes:
            unknown = words[codes.index(len(known))]
            warnings.warn(f"column {name!r}: unknown categories, such as {unknown!r}, are taken as none", stacklevel=6)
        return np.array(codes, dtype=np.int64), known
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    if np.isinf(numbers).any():
        raise ValueError(f"Input X contains infinity in column {str(name)!r}.")
    return numbers.view(np.ndarray), isinstance(values, _Times)


def class_words(y, class_names):
    """Classes as they stand in a table: numbers are names, where all names are numbers."""
    y = np.asarray(y)
    are_numbers = class_names and all(name.replace(".", "", 1).lstrip("-").isdigit() for name in class_names)
    return np.array([_word(value) for value in y.tolist()]) if are_numbers and y.dtype.kind in "iuf" and y.ndim == 1 else y


def _word(value, is_truth=False):
    """The name of a category as `schuss train` has it: true, false, a whole number without a point; None of what is missing."""
    if value is None or value != value:
        return None
    if is_truth or isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
