"""Faults of DMRAN's history and its two levels of attention.  {component: {fault: function}}."""
import autograd.numpy as np

from mbref.check.components import dmran as right
from mbref.nn.attention import masked_softmax
from mbref.nn.layers import dense, embed, layer_norm, relu, time_bucket
from mbref.variants import dmran
from tests.golden.fault import feed, plant
from tests.golden.shared.faults_attention import SOFTMAX, exponents

# Codes.

def history_code(other_way=False, act=lambda x: x):
    """Time before the items, or an activation after the layer."""
    def code(params, history, features, config):
        v = embed(params["V"], features[history.item])
        parts = [v, params["T"][time_bucket(history.gap, config.bucket)]] if config.time else [v]
        parts = parts[::-1] if other_way else parts
        return act(dense(params["W_0"], np.concatenate(parts, axis=-1)))
    return plant(right.history_code, dmran, history_code=code)


def code_of_padding(params, inputs, tap):
    """H whose padding is not set to 0."""
    batch, config = right.batch_of(inputs), right.config_of(dmran.Config, inputs)
    return {"H": dmran.history_code(params, batch.histories[0], batch.features[0], config)}


def in_seconds(inputs):
    return {"gap": inputs["gap"] * 86400}


def all_allowed(inputs):
    return {"allowed": np.ones_like(inputs["allowed"])}


CODES = {
    "dmran.history_code": {
        "time before the items": history_code(other_way=True),
        "ReLU after a linear layer": history_code(act=relu),
        "time bucket of the other rule": feed(right.history_code, lambda i: {"bucket": "release"}),
        "time gaps in seconds taken as days": feed(right.history_code, in_seconds),
        "padding not set to 0": code_of_padding,
    },
}


# Attention over items.

def over_hops(scores, real):
    return np.swapaxes(masked_softmax(np.swapaxes(scores, 1, 2), np.swapaxes(real, 1, 2)), 1, 2)


def item_attention(act=relu, softmax=masked_softmax, divisor=lambda width: 1):
    """Hops with another activation, softmax or scale."""
    def hops(params, inputs, tap):
        H, real = inputs["H"], inputs["real"][:, None]
        scores = act(H @ params["W_s1"].T) @ params["W_s2"].T / divisor(H.shape[-1])
        return {"A": softmax(np.swapaxes(scores, 1, 2), real)}
    return hops


def redundancy(less=lambda r: np.eye(r), power=2, axes=(1, 2), transposed=(0, 2, 1)):
    """The penalty with another matrix taken away, another norm, or one number of the batch."""
    def penalty(params, inputs, tap):
        A = inputs["A"]
        apart = A @ np.transpose(A, transposed) - less(A.shape[1])
        return {"penalty": np.sum(apart**2, axis=axes) ** (power / 2) + np.zeros(len(A))}
    return penalty


def gram_of_events(params, inputs, tap):
    A = inputs["A"]
    return {"penalty": np.sum((np.swapaxes(A, 1, 2) @ A - np.eye(A.shape[2])) ** 2, axis=(1, 2))}


ITEM_LEVEL = {
    "dmran.item_attention": {
        "no ReLU between the layers": item_attention(act=lambda x: x),
        "tanh instead of ReLU": item_attention(act=np.tanh),
        "softmax over the hops instead of the events": item_attention(softmax=over_hops),
        "scores divided by the root of the width": item_attention(divisor=lambda width: width**0.5),
        "padding attended": feed(right.item_attention, lambda i: {"real": np.ones_like(i["real"])}),
        **{name: item_attention(softmax=SOFTMAX[name]) for name in (
            "mask after the softmax", "-inf on a row where nothing is allowed",
            "a row where nothing is allowed gets equal weights",
            "masked scores set to 0 instead of -inf")},
    },
    "dmran.redundancy": {
        "penalty not squared": redundancy(power=1),
        "identity not taken away": redundancy(lambda r: 0),
        "ones taken away instead of the identity": redundancy(lambda r: 1),
        "one penalty of the whole batch": redundancy(axes=None),
        "A^T A instead of A A^T": gram_of_events,
    },
}


# Attention over features.

def alignment(act=np.tanh, axis=2, one=False, names=("W_s4", "W_s3"), inner=True):
    """Weights with another activation or axis of the softmax in [B, i, j, d], or one a row."""
    def weights(params, inputs, tap):
        M, allowed = inputs["M"], inputs["allowed"][..., None]
        row_i, row_j = (M @ params[name].T for name in names)
        F = act(row_i[:, :, None] + row_j[:, None] + params["b_s2"] * inner) @ params["W_s5"].T
        F = F + params["b_s1"] * (axis != 2)
        F = np.sum(F, axis=3, keepdims=True) / F.shape[3] + 0 * F if one else F
        e = exponents(np.where(allowed, F, -1e9), axis) * allowed
        total = np.sum(e, axis=axis, keepdims=True)
        return {"beta": e / (total + (total == 0))}
    return weights


def aligned(beta_of):
    """M^ from other weights; M^_i is the sum over j of beta_ij * M_j."""
    def attention(params, inputs, tap):
        beta = beta_of(dmran.feature_weights(params, inputs["M"], inputs["allowed"]))
        tap("beta", beta)
        return {"M_hat": after(params, inputs, np.sum(beta * inputs["M"][:, None], axis=2))}
    return attention


def after(params, inputs, M_hat, residual=1, first="ln", second="ln_f"):
    """The end of the robust form, with another residual or norms; of the plain form nothing."""
    if not inputs.get("robust"):
        return M_hat
    p = params["after"]
    y = layer_norm(p[first], M_hat + residual * inputs["M"])
    return layer_norm(p[second], dense(p["f2"], relu(dense(p["f1"], y))) + y)


def ended(**changed):
    """M^ whose end is another."""
    def attention(params, inputs, tap):
        M_hat = right.feature_attention(params, inputs | {"robust": False}, tap)["M_hat"]
        return {"M_hat": after(params, inputs, M_hat, **changed)}
    return attention


def of_row_i(params, inputs, tap):
    beta = dmran.feature_weights(params, inputs["M"], inputs["allowed"])
    return {"M_hat": after(params, inputs, np.sum(beta * inputs["M"][:, :, None], axis=2))}


FEATURE_LEVEL = {
    "dmran.alignment": {
        "softmax over i instead of j": alignment(axis=1),
        "softmax over the features instead of the rows": alignment(axis=3),
        "no tanh": alignment(act=lambda x: x),
        "ReLU instead of tanh": alignment(act=relu),
        "one weight for all features": alignment(one=True),
        "W_s3 and W_s4 swapped": alignment(names=("W_s3", "W_s4")),
        "b_s2 left out": alignment(inner=False),
        "a row looks at itself": feed(right.alignment, all_allowed),
    },
    "dmran.feature_attention": {
        "weights of i and j swapped": aligned(lambda beta: np.swapaxes(beta, 1, 2)),
        "weights averaged over the features": aligned(
            lambda beta: np.sum(beta, axis=3, keepdims=True) / beta.shape[3] + 0 * beta),
        "weights times m_i instead of m_j": of_row_i,
        "no residual around the robust form": ended(residual=0),
        "one layer norm used twice": ended(second="ln"),
        "plain form for the robust one": feed(right.feature_attention, lambda i: {"robust": False}),
        "mask not read": feed(right.feature_attention, all_allowed),
    },
}

FAULTS = {**CODES, **ITEM_LEVEL, **FEATURE_LEVEL}

# The text around the faults, without any: it must be right.
RIGHT = {
    "dmran.history_code": [history_code()],
    "dmran.item_attention": [item_attention()],
    "dmran.redundancy": [redundancy()],
    "dmran.alignment": [alignment()],
    "dmran.feature_attention": [aligned(lambda beta: beta), ended()],
}
