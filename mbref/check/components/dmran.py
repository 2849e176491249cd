"""mbref's side of DMRAN. Histories are padded on the right. d width, r hops."""
import autograd.numpy as np

from mbref.check.components.reading import config_of, take
from mbref.data.targets import Batch, History
from mbref.variants import dmran


def batch_of(inputs):
    """Items alone, or with categories where the config has some."""
    item, columns = inputs["item"], [np.arange(inputs["items"] + 1, like=inputs["item"])]
    columns += [inputs["category"]] if inputs.get("categories") else []
    history, features = History(item, (item > 0).astype(int), inputs["gap"]), np.stack(columns, 1)
    return Batch((history,), (features,), 0, inputs.get("candidate"), inputs.get("label"))


def history_code(params, inputs, tap):
    """H = [V[item] ; T[bucket of the gap]] W_0 + b_0.

    item, gap [B, T]; category [items+1] if categories > 0: then V is [V_0[item] ; V_1[category]];
    params: V (a list of tables), T [14, d], W_0 (w, b) -> H [B, T, d], 0 at padding.
    """
    batch, config = batch_of(inputs), config_of(dmran.Config, inputs)
    H = dmran.history_code(params, batch.histories[0], batch.features[0], config)
    return {"H": H * (inputs["item"] > 0)[..., None]}


def item_attention(params, inputs, tap):
    """A = softmax(relu(H W_s1^T) W_s2^T)^T over the events, one row a hop.

    H [B, T, d], real [B, T] bool; params: W_s1 [d, d], W_s2 [r, d] -> A [B, r, T], 0 at padding and
    for an empty history.
    """
    return {"A": dmran.item_attention(params, inputs["H"], inputs["real"])}


def redundancy(params, inputs, tap):
    """||A A^T - I||_F^2 of every sample.  A [B, r, T] -> penalty [B]."""
    return {"penalty": dmran.redundancy(inputs["A"])}


def alignment(params, inputs, tap):
    """beta_ij: softmax over j, by feature, of W_s5 tanh(W_s4 m_i + W_s3 m_j + b_s2) + b_s1.

    M [B, r, d]; allowed [B, r, r] bool, rows are i, a row without any gives 0; params: W_s3, W_s4,
    W_s5 [d, d], b_s1, b_s2 [d] -> beta [B, i, j, d].
    """
    return {"beta": dmran.feature_weights(params, inputs["M"], inputs["allowed"])}


def feature_attention(params, inputs, tap):
    """M^_i = sum_j beta_ij * M_j, feature by feature.  M [B, r, d], allowed [B, r, r]; params as
    dmran.alignment -> M_hat [B, r, d]. Tap: beta [B, i, j, d].

    robust: y = ln(M^ + M), then ln_f(f2(relu(f1(y))) + y) of params after; eps 1e-8.
    """
    config = config_of(dmran.Config, inputs, items=1)
    return {"M_hat": dmran.feature_attention(params, inputs["M"], inputs["allowed"], config, tap)}


def vanilla(params, inputs, tap):
    """f_vanilla: softmax(M i_c / sqrt(d)) over the real rows, times M.  M [B, r, d], i_c [B, C, d],
    real [B, r] bool -> h [B, C, d], 0 without real rows. pool "mean": the mean of the real rows.
    robust: atrank.attention_block with params van, scores "dot" and `heads`, of query i_c and
    memory M.
    """
    config = config_of(dmran.Config, inputs, items=1)
    return {"h": dmran.vanilla(params.get("van"), *take(inputs, "M i_c real"), config)}


def fusion(params, inputs, tap):
    """h_c = G * h + (1 - G) * h^, G = sigmoid(h W_f1 + h^ W_f2 + b_f).  All are [B, C, d]."""
    return {"h_c": dmran.fusion(params, inputs["h"], inputs["h_hat"])}


def score(params, inputs, tap):
    """Scores of candidates, as dmran.  item, gap [B, T], candidate [B, C] -> scores [B, C]."""
    config = config_of(dmran.Config, inputs)
    return {"scores": dmran.score(params, batch_of(inputs), inputs["candidate"], config)}


def model(params, inputs, tap):
    """The loss of a batch: cross entropy of positives and negatives, and penalties.  -> loss [].

    item, gap [B, T], 0 = padding on the right; category [items+1] if categories > 0; candidate [B,
    C]; label [B, C] bool. Config as in variants/dmran.py. Taps: hops [B, r, T], M [B, r, d], beta
    [B, r, r, d], M_hat [B, r, d], vanilla_hat and vanilla [B, 1, C, r]; without hops (variant
    "feature") none, since padding takes part in them.
    """
    batch, config = batch_of(inputs), config_of(dmran.Config, inputs)
    shown = tap if config.variant != "feature" else lambda name, a: None
    states = dmran.forward(params, batch, config, shown)
    dmran.logits(params, batch, states, batch.candidate, config, shown)
    return {"loss": dmran.loss(params, batch, config)}
