"""Parquet files, read by pyarrow where it is installed: pip install 'mbref[tables]'."""
import numpy as np

from mbref.data.readers.columns import Column, of_texts
from mbref.data.readers.lines import name_of, opened
from mbref.errors import InputError, require

BATCH = 1 << 17  # rows that are read at a time


def parquet_parts(path, columns):
    """Yield parts with the columns {ours: theirs}; `line` is the row from 1.

    Raises InputError without pyarrow, for a damaged file, or for a column that is not there.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise InputError(f"{name_of(path)}: is a Parquet file, install pyarrow to read "
                         "it") from None
    with opened(path):  # says what is wrong with a path
        pass
    first = 1
    try:
        file = ParquetFile(path)
        for theirs in columns.values():
            require(theirs in file.schema_arrow.names, f"{name_of(path)}: has no column {theirs}, "
                    f"it has {', '.join(file.schema_arrow.names)[:300]}")
        for batch in file.iter_batches(BATCH, columns=list(dict.fromkeys(columns.values()))):
            yield {"line": Column(np.arange(first, first + len(batch))),
                   **{ours: of_arrow(batch.column(theirs)) for ours, theirs in columns.items()}}
            first += len(batch)
    except (ArrowException, OSError) as error:
        words = str(error).partition("\n")[0][:200]
        raise InputError(f"{name_of(path)}: is no Parquet file that can be read "
                         f"({words})") from None


def of_arrow(column):
    """A Column of an Arrow array; times become microseconds since 1970, missing values "".

    Numbers with a fraction become texts, as they would stand in a file of lines.
    """
    import pyarrow.types as types
    if types.is_timestamp(column.type) or types.is_date(column.type):
        column = column.cast("timestamp[us]").cast("int64")
    if types.is_integer(column.type) and not column.null_count:
        return Column(column.to_numpy(zero_copy_only=False).astype(np.int64))
    return of_texts("" if value is None else str(value) for value in column.to_pylist())
