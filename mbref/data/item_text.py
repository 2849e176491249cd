"""Fixed text vectors of items, E^M of HierSRec: hashes of words, tf-idf, a truncated SVD.

The paper (arXiv 2309.06533), as far as it could be read, does not say how it turns text into
vectors; all here is ours. Shapes: N items, H columns of the hash, M width of the vectors.
"""
import zlib

import numpy as np

from mbref.data.sequences import ranges
from mbref.errors import require

CHUNK = 4096  # items at a time, so that no [N+1, H] matrix is ever whole in memory
ALIKE = 1e-6  # relative difference below which two entries count as equal


def text_vectors(tokens, train_items, columns=1024, width=64):
    """A vector for the text of every item, of `width` or the text's rank.  -> [N+1, M].

    1. Every token goes to one of `columns` by crc32, with the sign of the highest bit; tokens of an
       item that meet in a column add up.
    2. Times idf = log((1 + n) / (1 + df)) + 1, with df of the n training items having the column;
       each row is then scaled to length 1.
    3. Projected on the first right singular vectors of the training items' rows.

    tokens: Attributes of a log. train_items: item numbers; idf and SVD see these alone, so that the
    text of an item held out does not leak. Row 0 and items without text stay 0. The sign of a
    vector is fixed: among its largest entries in size the first is positive; so the result depends
    on the order of items or of sums by rounding only, unless two singular values are equal. Raises
    InputError for no tokens, none in training, no item numbers, columns or width below 1.
    """
    require(tokens is not None, "this log has no attributes to make text vectors from: "
                                "choose vectors without text.")
    require(columns >= 1 and width >= 1, f"columns {columns} and width {width} must be 1 or more.")
    code = np.array([zlib.crc32(str(name).encode()) for name in tokens.names], np.int64)
    code = code[tokens.value]  # Deviation HierSRec D17: no language model
    entries = tokens.ptr, code % columns, np.where(code >> 31, -1.0, 1.0)
    items, train = len(entries[0]) - 1, np.unique(np.asarray(train_items))
    require(len(train) and train.dtype.kind in "iu" and 1 <= train[0] and train[-1] < items,
            f"train_items must be item numbers in 1..{items - 1}, at least one.")
    chunks, of_all = (np.split(x, range(CHUNK, len(x), CHUNK)) for x in (train, np.arange(items)))
    df = sum((_counts(entries, chunk, columns) != 0).sum(axis=0) for chunk in chunks)
    idf = np.log((1 + len(train)) / (1 + df)) + 1  # [H]
    rows = (_normalise(_counts(entries, chunk, columns) * idf) for chunk in chunks)  # tf-idf
    vectors = _right_vectors(sum(X.T @ X for X in rows), width)  # [H, M]
    return np.concatenate([_normalise(_counts(entries, chunk, columns) * idf) @ vectors
                           for chunk in of_all])


def random_vectors(rng, like):
    """Random directions, each as long as the row of `like`: is it the text that helps?

    like [N+1, M], its zero rows stay 0. rng: np.random.Generator. -> [N+1, M].
    """
    return _normalise(rng.normal(size=like.shape)) * np.linalg.norm(like, axis=1, keepdims=True)


# Entries: the tokens' hashes as rows of a sparse matrix, (ptr [N+2], column [nnz], sign [nnz]).

def _counts(entries, items, columns):
    """Signed counts of the tokens of these items.  -> [b, H]."""
    ptr, column, sign = entries
    size = np.diff(ptr)[items]
    of, at = np.repeat(np.arange(len(items)), size), ranges(ptr[items], size)
    cells = np.bincount(of * columns + column[at], sign[at], len(items) * columns)
    return cells.reshape(len(items), columns)


def _normalise(rows):
    """Rows divided by their lengths; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def _right_vectors(gram, width):
    """The first right singular vectors of X, at most `width` or its rank.  -> [H, M]."""
    used = np.flatnonzero(np.diag(gram))  # the other columns are 0 in X, hence in every vector
    require(len(used), "no training item has any text: choose vectors without text.")
    value, vector = np.linalg.eigh(gram[np.ix_(used, used)])  # ascending squares of X's
    rank = int((value > value[-1] * len(value) * np.finfo(float).eps).sum())
    vector = vector[:, ::-1][:, :min(width, rank)]
    size = np.abs(vector)
    # words that always come together have equal entries: rounding must not choose the sign
    largest = np.argmax(size >= size.max(axis=0) * (1 - ALIKE), axis=0)
    vectors = np.zeros((len(gram), vector.shape[1]))
    vectors[used] = vector * np.sign(vector[largest, np.arange(vector.shape[1])])
    return vectors
