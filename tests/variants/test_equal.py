"""The comparison itself: it names a statement that never runs, and sees one number that differs."""
from pathlib import Path

import re
from types import SimpleNamespace

import numpy as np
import pytest

from mbref.papers import atrank
from mbref.variants import atrank as variants
from tests.variants import equal
from tests.variants.test_atrank import SMALL, shop

LAST = "    return masked_mean(sigmoid_cross_entropy(z, batch.label), real) + "
IDLE = {"a branch": "    if config.blocks > 1:\n        size = 2 * size\n",
        "an inner function": "    def twice(x):\n        return 2 * x\n",
        "a lambda": "    twice = lambda x: 2 * x\n",
        "a loop over nothing": "    for p in params['self'][1:]:\n        size = size + 1\n"}


def changed_paper(tmp_path, old, new):
    """papers/atrank.py with one text in place of another, as a module of its own file."""
    source = Path(atrank.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1
    path = tmp_path / "changed.py"
    path.write_text(source.replace(old, new))
    names = {"__name__": atrank.__name__}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return SimpleNamespace(**names | {"__file__": str(path)})


@pytest.mark.parametrize("idle", IDLE.values(), ids=IDLE)
def test_what_never_runs_is_named(idle, tmp_path):
    sizes, *data = shop(np.random.default_rng(0), tmp_path)
    last = idle.splitlines()[-1].strip()
    named = "<lambda>" if "lambda" in last else last
    other = changed_paper(tmp_path, LAST, idle + LAST)
    with pytest.raises(AssertionError, match=re.escape(named)):
        equal.assert_all_statements_run(other, sizes | SMALL, *data)


def test_all_runs_in_the_file_as_it_is(tmp_path):
    sizes, *data = shop(np.random.default_rng(0), tmp_path)
    equal.assert_all_statements_run(changed_paper(tmp_path, LAST, LAST), sizes | SMALL, *data)


OTHERWISE = {  # (text, text in its place): where the first difference is
    ("config.penalty / 2 * size", "config.penalty / 2.000001 * size"): "loss/0/False",
    ("np.sum(u * h, axis=-1)", "np.sum(u * (h + 1e-6), axis=-1)"): "loss/0/False",
    ("return by_chunks(", "return 1 + by_chunks("): "score_all",
    ("return logits(", "return 1 + logits("): "score$",
    ('{"ln": init_norm(D), ', '{"ln": init_norm(D), "ln_g": init_norm(D), '): "ln_g"}


@pytest.mark.parametrize("texts, name", OTHERWISE.items(), ids=map(str, range(len(OTHERWISE))))
def test_one_number_that_differs_is_seen(texts, name, tmp_path):
    sizes, *data = shop(np.random.default_rng(0), tmp_path)
    other = changed_paper(tmp_path, *texts)
    with pytest.raises(AssertionError, match=f"(?m){name}"):
        equal.assert_same(other, variants, sizes | SMALL, *data)
