"""mbref.data.item_text: text vectors by hand, against scikit-learn, and whatever they must not depend on."""
import os
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbref import runs
from mbref.data import item_text as metadata
from mbref.data.item_text import random_vectors
from mbref.data.leave_one_out import Held, Split
from mbref.data.log import Attributes
from mbref.data.sequences import from_rows
from mbref.errors import InputError
from tests.optional import require

ROOT = Path(__file__).parents[2]
VOCABULARY = [f"w{n}" for n in range(60)]


def random_tokens(seed, items=50):
    """Lists of 0 to 8 tokens for `items` items; frequencies fall from token to token, some repeat."""
    rng = np.random.default_rng(seed)
    chance = np.arange(1, len(VOCABULARY) + 1) ** -0.8
    chance /= chance.sum()
    return [[], *(rng.choice(VOCABULARY, size=rng.integers(9), p=chance).tolist() for _ in range(items))]


def text_vectors(tokens, *arguments, **more):
    """The vectors of lists of tokens, or of Attributes."""
    if isinstance(tokens, list):
        names = [token for here in tokens[1:] for token in here]
        tokens = Attributes(np.cumsum([0, 0, *map(len, tokens[1:])]), np.arange(len(names)), names)
    return metadata.text_vectors(tokens, *arguments, **more)


def hashed(tokens, columns):
    """Signed counts, from crc32 alone.  -> [N+1, H]."""
    table = np.zeros((len(tokens), columns))
    for row, here in enumerate(tokens):
        for token in here:
            code = zlib.crc32(token.encode())
            table[row, code % columns] += -1 if code >= 2 ** 31 else 1
    return table


def as_attributes(tokens):
    """The same tokens as Attributes, each once an item."""
    names = ["", *sorted({token for here in tokens for token in here})]
    sets = [list(dict.fromkeys(here)) for here in tokens]
    return Attributes(np.cumsum([0, *map(len, sets)]), np.array([names.index(t) for here in sets for t in here]),
                      np.array(names))


def test_by_hand():
    # crc32: "a" is 0xE8B7BE43, "b" 0x71BEEFF9: columns 3 and 1 of 8, signs - and +. Four items: a b, a, b, a.
    assert [zlib.crc32(b"a"), zlib.crc32(b"b")] == [0xE8B7BE43, 0x71BEEFF9]
    tokens = [[], ["a", "b"], ["a"], ["b"], ["a"]]
    idf_a, idf_b = np.log(5 / 4) + 1, np.log(5 / 3) + 1  # 3 and 2 of 4 items
    length = np.hypot(idf_a, idf_b)
    x = np.array([[-idf_a / length, idf_b / length], [-1, 0], [0, 1], [-1, 0]])  # columns a, b
    # The two right singular vectors: the symmetric matrix x^T x = [[p, q], [q, r]] by the formula for 2 x 2.
    p, q, r = x[:, 0] @ x[:, 0], x[:, 0] @ x[:, 1], x[:, 1] @ x[:, 1]
    top = (p + r) / 2 + np.sqrt((p - r) ** 2 / 4 + q ** 2)
    v = np.array([q, top - p]) / np.hypot(q, top - p)
    v = v * np.sign(v[np.argmax(np.abs(v))])
    w = np.array([-v[1], v[0]])
    w = w * np.sign(w[np.argmax(np.abs(w))])
    got = text_vectors(tokens, np.arange(1, 5), columns=8, width=64)
    np.testing.assert_allclose(got[1:], np.stack([x @ v, x @ w], axis=1), atol=1e-12)
    assert got.shape == (5, 2) and got.dtype == np.float64
    assert (got[0] == 0).all()


@pytest.mark.parametrize("columns", [32, 1024])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_scikit_learn(columns, seed):
    TruncatedSVD = require("sklearn.decomposition").TruncatedSVD
    TfidfTransformer = require("sklearn.feature_extraction.text").TfidfTransformer
    tokens = random_tokens(seed)
    train = np.arange(1, 41)
    counts = hashed(tokens, columns)
    rows = TfidfTransformer().fit(counts[train]).transform(counts).toarray()
    expected = TruncatedSVD(6, algorithm="arpack", random_state=0).fit(rows[train]).transform(rows)
    got = text_vectors(tokens, train, columns, width=6)
    signs = np.sign((expected * got).sum(axis=0))
    np.testing.assert_allclose(got, expected * signs, atol=1e-9)


def test_full_width_keeps_all_inner_products():
    # With the width capped at the rank nothing of the training items is lost: M M^T = X X^T.
    tokens = random_tokens(2)
    counts = hashed(tokens, 256)
    idf = np.log(51 / (1 + (counts[1:] != 0).sum(axis=0))) + 1
    x = counts * idf
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
    got = text_vectors(tokens, np.arange(1, 51), 256, width=1000)
    assert got.shape[1] == np.linalg.matrix_rank(x) < 50
    np.testing.assert_allclose(got @ got.T, x @ x.T, atol=1e-10)


def test_sign_of_every_vector():
    # Largest entry positive, whatever the solver returned.
    vectors = metadata._right_vectors(np.diag([0.0, 1.0, 3.0, 2.0]) + 0.1 * np.diag([0, 1, 1], 1)
                                      + 0.1 * np.diag([0, 1, 1], -1), 3)
    assert vectors.shape == (4, 3) and (vectors[0] == 0).all()
    assert (np.abs(vectors).max(axis=0) == vectors.max(axis=0)).all()
    assert np.argmax(vectors, axis=0).tolist() == [2, 3, 1]


def test_sign_does_not_hang_on_the_solver(monkeypatch):
    # Two words that always come together have equal entries, here of opposite sign; a solver may return either sign
    # and either one as the larger by a rounding error.
    tokens = [[], ["a", "b"], ["a", "b"], ["a", "b", "c"], ["c"], ["d"], ["d", "c"]]
    eigh, results = np.linalg.eigh, []
    for flip, nudge in ((1, 0), (-1, 0), (1, 1e-12), (-1, 1e-12), (1, -1e-12)):
        def other(matrix, flip=flip, nudge=nudge):
            value, vector = eigh(matrix)
            vector = vector * flip
            vector[0] *= 1 + nudge
            return value, vector
        monkeypatch.setattr(np.linalg, "eigh", other)
        results.append(text_vectors(tokens, np.arange(1, 7), 8, 4))
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-9)


def test_order_of_items_and_tokens_does_not_matter():
    tokens = random_tokens(3)
    order = np.append(0, 1 + np.random.default_rng(0).permutation(50))  # new item i is old item order[i]
    train = np.arange(1, 31)
    one = text_vectors(tokens, train, 512, 5)
    moved = [tokens[old][::-1] for old in order]
    other = text_vectors(moved, np.flatnonzero(np.isin(order, train)), 512, 5)
    np.testing.assert_allclose(other, one[order], atol=1e-9)
    np.testing.assert_array_equal(text_vectors(tokens, np.append(train[::-1], train), 512, 5), one)


def test_chunks_do_not_matter(monkeypatch):
    tokens = random_tokens(4)
    one = text_vectors(tokens, np.arange(1, 51), 128, 8)
    monkeypatch.setattr(metadata, "CHUNK", 7)
    np.testing.assert_allclose(text_vectors(tokens, np.arange(1, 51), 128, 8), one, atol=1e-10)


def test_nothing_depends_on_the_hash_seed_of_python():
    code = ("from tests.data.test_item_text import random_tokens, text_vectors\n"
            "print(text_vectors(random_tokens(5), range(1, 41), 64, 6).tobytes().hex())")
    expected = text_vectors(random_tokens(5), range(1, 41), 64, 6)
    for seed in ("0", "1", "12345"):
        answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
                                capture_output=True, text=True, check=True).stdout
        np.testing.assert_allclose(np.frombuffer(bytes.fromhex(answer)).reshape(51, 6), expected, atol=1e-10)


def test_items_outside_training_change_nothing_for_the_others():
    tokens = random_tokens(6)
    train = np.arange(1, 31)
    changed = tokens[:31] + [["new", "words", "w0"]] * 20
    one, other = text_vectors(tokens, train, 512, 5), text_vectors(changed, train, 512, 5)
    np.testing.assert_array_equal(one[:31], other[:31])
    with_all = text_vectors(tokens, np.arange(1, 51), 512, 5)
    assert not np.allclose(with_all[:31], one[:31])
    assert np.abs(one[31:]).sum() > 0  # the others do have vectors


def test_attributes_are_the_same_as_lists():
    once = [list(dict.fromkeys(here)) for here in random_tokens(7)]
    one, other = (text_vectors(given, np.arange(1, 41), 256, 8) for given in (once, as_attributes(once)))
    np.testing.assert_array_equal(one, other)


def test_empty_text_and_row_0_stay_zero():
    tokens = random_tokens(8)
    tokens[0] = ["not", "read"]
    empty = [item for item in range(51) if item == 0 or not tokens[item]]
    assert len(empty) > 1
    got = text_vectors(tokens, np.arange(1, 51), 256, 8)
    assert (got[empty] == 0).all() and (np.abs(got).sum(axis=1) > 0).sum() == 51 - len(empty)
    assert np.isfinite(got).all()


@pytest.mark.parametrize(("arguments", "text"), [
    ((None, [1]), "this log has no attributes"), (([[], ["a"]], []), "train_items must be item numbers in 1..1"),
    (([[], ["a"]], [0, 1]), "train_items must be"), (([[], ["a"]], [1, 2]), "train_items must be"),
    (([[], ["a"]], [True]), "train_items must be"), (([[], ["a"]], [1], 0), "columns 0 and width 64 must be"),
    (([[], ["a"]], [1], 8, 0), "width 0 must be"), (([[], [], ["a"]], [1]), "no training item has any text")])
def test_what_has_no_vectors(arguments, text):
    with pytest.raises(InputError) as caught:
        text_vectors(*arguments)
    assert text in str(caught.value)


def test_random_vectors_have_the_lengths_of_the_text_but_not_its_content():
    like = text_vectors(random_tokens(9, items=400), np.arange(1, 401), 256, 16)
    made = random_vectors(np.random.default_rng(0), like)
    assert made.shape == like.shape
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), np.linalg.norm(like, axis=1), atol=1e-12)
    assert (made[0] == 0).all()
    assert np.allclose(np.abs(random_vectors(np.random.default_rng(0), np.full((40, 1), 3.0))), 3)  # draws below 1, too
    cosine = (made * like).sum(axis=1) / np.maximum((like ** 2).sum(axis=1), 1e-300)
    assert abs(cosine.mean()) < 4 / np.sqrt(400 * 16)
    assert (made == random_vectors(np.random.default_rng(0), like)).all()
    assert (made[1:] != random_vectors(np.random.default_rng(1), like)[1:]).any()


def test_one_column_is_the_sign_of_the_hash():
    """Of one column's rows of length 1 the singular vector is 1; a width of 1 keeps one number."""
    tokens = [[], *([name] for name in VOCABULARY), []]
    signs = [0, *(-1 if zlib.crc32(name.encode()) >= 2**31 else 1 for name in VOCABULARY), 0]
    assert {-1, 1} <= set(signs)
    np.testing.assert_allclose(text_vectors(tokens, [1, 2], 1, 1)[:, 0], signs, atol=1e-12)
    assert text_vectors(tokens, np.arange(1, 61), 8, 1).shape == (62, 1)


def test_the_text_of_a_run():
    """Of the training's items alone, in all four parts; or as random, or none."""
    tokens = random_tokens(3)
    events = from_rows(np.ones(4, int), np.array([1, 2, 3, 2]), np.ones(4, int), 1)
    held = Held(events, np.array([4]), np.array([False]))
    split, log = Split(events, held, held, events, 50, 1, 1), SimpleNamespace(attributes=as_attributes(tokens))
    words = text_vectors(log.attributes, [1, 2, 3])
    for kind, want in ("words", words), ("random", random_vectors(np.random.default_rng(0), words)):
        made = runs.with_text(split, log, kind)
        for part in (made.train, made.refit, made.validation.history, made.test.history):
            np.testing.assert_array_equal(part.text, want)
        assert runs.sizes_of(made, SimpleNamespace(category=None))["text"] == words.shape[1]
    assert runs.with_text(split, log, "none") is split
    assert runs.sizes_of(split, SimpleNamespace(category=None))["text"] == 0
