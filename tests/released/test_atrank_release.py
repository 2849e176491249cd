"""variants/atrank.py in the released form against recorded states of the authors' graphs.

Logits, loss, gradients, attention maps and SGD of both folders: atrank/ (one group of items, one
and two blocks, with clipping) and multi/ (items, queries, coupons; one group or all). The release
computed in float64, so everything has to agree to rounding.
"""
import json

import numpy as np
import pytest
from autograd import grad

from mbref.nn import optim
from mbref.variants import atrank
from tests.released.atrank_states import ORACLES, load, our_batch, with_padding

NAMES = [path.stem.removeprefix("atrank__") for pattern in ("atrank", "multi_att")
         for path in sorted(ORACLES.glob(f"atrank__{pattern}*.npz"))]
TOLERANCE = 1e-10  # of the largest value


@pytest.fixture(params=NAMES)
def state(request):
    """-> recorded arrays, function from a prefix to our parameters, our batch, our config."""
    arrays, settings, batch, parameters = load(request.param)

    def own_parameters(prefix):
        return ours(parameters(prefix), settings)
    return arrays, own_parameters, our_batch(batch, settings), config_of(settings)


def config_of(settings):
    """The Config of a recorded state."""
    sizes = {name: rows for name, rows, _ in settings.tables}
    used = {feature for g in settings.read for feature in settings.groups[g]}
    return atrank.Config(
        tables=tuple((name, rows) for name, rows in sizes.items() if name in used),
        groups=tuple(settings.groups[g] for g in settings.read), table_width=settings.tables[0][2],
        actions=tuple(sizes["action"] if settings.actions[g] else 0 for g in settings.read),
        width=settings.width, heads=settings.heads, blocks=settings.blocks,
        penalty=settings.penalty,
        **atrank.RELEASED | {"query": settings.query})


def ours(tree, settings):
    """The release's parameters, or gradients, in the nested dict of variants/atrank.py's init."""
    used = {feature for g in settings.read for feature in settings.groups[g]}

    def group(g):
        return tree["groups"][g] | ({"action": with_padding(tree["tables"]["action"])}
                                    if settings.actions[g] else {})

    return {"tables": {name: with_padding(table) for name, table in tree["tables"].items()
                       if name in used},
            "groups": [group(g) for g in settings.read],
            "bias": [with_padding(tree["bias"][g]) for g in settings.read],
            "self": tree["self"], "vanilla": tree["vanilla"]}


def gradient(state):
    _, params, batch, config = state
    return grad(atrank.loss)(params("params"), batch, config)


def assert_same(got, want, scale=None, name=""):
    """To rounding of the largest absolute value of `want`, or of `scale`."""
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * (scale or np.max(np.abs(want))),
                               err_msg=name)


def assert_same_trees(got, want):
    """Every array by its own scale; one that is 0 all over by a thousandth of the largest of
    all."""
    floor = 1e-3 * max(np.max(np.abs(a)) for _, a in optim.leaves(want))
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        assert_same(a, b, max(np.max(np.abs(b)), floor), name)


def test_all_states_are_here():
    assert len(NAMES) == 9 and sum("multi" in name for name in NAMES) == 6


def test_logits_and_loss(state):
    arrays, params, batch, config = state
    z = atrank.score(params("params"), batch, batch.candidate, config)[:, 0]
    assert_same(z, arrays["outputs/logits"])
    assert_same(atrank.loss(params("params"), batch, config), arrays["outputs/loss"])


def test_every_gradient(state):
    """Both ways round: our parameters have the release's gradient, and none of the release's
    gradients is left out."""
    want = state[1]("grads")
    assert_same_trees(gradient(state), want)
    entries = sum(np.sum(a**2) for name, a in state[0].items() if name.startswith("grads/"))
    assert_same(sum(np.sum(a**2) for _, a in optim.leaves(want)), entries)


def test_global_norm(state):
    assert_same(optim.global_norm(gradient(state)), state[0]["outputs/global_norm_dense"])


def test_attention_maps(state):
    """[H * B, queries, S] with the heads stacked on the batch axis: those of the last block; padded
    rows are 0."""
    (arrays, params, batch, config), taps = state, {}
    states = atrank.forward(params("params"), batch, config, tap=taps.__setitem__)
    atrank.logits(params("params"), batch, states, batch.candidate, config, tap=taps.__setitem__)
    for name, recorded in (("self_weights", "stt"), ("vanilla_weights", "att")):
        got = np.concatenate(np.swapaxes(taps[name], 0, 1))  # [H * B, C or S, S]
        want = next(arrays[key] for key in (f"outputs/{recorded}_vec", f"outputs/{recorded}")
                    if key in arrays)
        assert got.shape == want.shape
        assert_same(got, want, 1.0)


def test_one_sgd_step(state):
    """TensorFlow clips by the norm over unmerged embedding rows; where neither norm is too large,
    ours is the same."""
    arrays, params, _, _ = state
    about, want = json.loads(str(arrays["meta/config"])), params("after/1")
    rate, clip = about["lr"], about["max_gradient_norm"]
    factor = min(1.0, clip / float(arrays["outputs/global_norm_tf"]))
    got, _ = optim.update(optim.SGD(rate * factor), params("params"), gradient(state), {}, 1)
    assert_same_trees(got, want)
    if factor == 1:
        got, _ = optim.update(optim.SGD(rate, clip), params("params"), gradient(state), {}, 1)
        assert_same_trees(got, want)
