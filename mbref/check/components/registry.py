"""The registry: every component by its name, with mbref's own function, its equation, and what is differentiated.

A function is f(params, inputs, tap) -> {output: array}. In an implementer's file dots become underscores.
"""
from collections.abc import Callable
from typing import NamedTuple

from mbref.check.components import (
    atrank,
    atrank_groups,
    candidates,
    dmran,
    hiersrec,
    hmar,
    hmar_released,
    metrics,
    optim,
    shared,
)


class Component(NamedTuple):
    """One row of the registry."""

    function: Callable           # mbref's side; its docstring says shapes and config
    equation: str                # of the paper
    differentiate: tuple = ()    # inputs with a gradient; all floats of params have one in any case
    kind: str = "values"         # "metric": the tolerance is 1e-12; "model": a loss, with ten steps of training


VASWANI, HMAR, ATRANK, DMRAN, HIERSREC = "Vaswani et al. 2017", "HMAR step", "ATRank step", "DMRAN eq.", "HierSRec step"

SHARED = {
    "layers.dense": Component(shared.dense, "x W + b", ("x",)),
    "layers.lookup": Component(shared.lookup, "rows of an embedding table"),
    "layers.embed": Component(shared.embed, f"{ATRANK} (2)"),
    "layers.relu": Component(shared.relu, "max(x, 0)", ("x",)),
    "layers.layer_norm": Component(shared.layer_norm, "Ba et al. 2016", ("x",)),
    "layers.dropout": Component(shared.dropout, "dropout, scaled in training", ("x",)),
    "masks.padding": Component(shared.padding, "ids above 0"),
    "masks.causal": Component(shared.causal, f"{VASWANI}, section 3.2.3"),
    "masks.diagonal": Component(shared.diagonal, "key and query the same"),
    "masks.behaviour": Component(shared.behaviour, f"{HMAR} (3), M_b"),
    "masks.same_behaviour": Component(shared.same_behaviour, f"{HMAR} (3)"),
    "masks.positions": Component(shared.positions, "places of real events"),
    "attention.masked_softmax": Component(shared.masked_softmax, f"{VASWANI}, eq. 1", ("scores",)),
    "attention.attention": Component(shared.attention, f"{VASWANI}, eq. 1", ("q", "k", "v")),
    "losses.softplus": Component(shared.softplus, "log(1 + e^x)", ("x",)),
    "losses.log_softmax": Component(shared.log_softmax, f"{HIERSREC} (2)", ("logits",)),
    "losses.sigmoid_cross_entropy": Component(shared.sigmoid_cross_entropy, f"{ATRANK} (7)", ("logits",)),
    "losses.cross_entropy": Component(shared.cross_entropy, f"{HIERSREC} (5)", ("logits",)),
    "losses.masked_mean": Component(shared.masked_mean, "means over real events", ("values",)),
}
OPTIMISERS = {
    "optim.clip_by_global_norm": Component(optim.clip_by_global_norm, "Pascanu et al. 2013"),
    "optim.sgd": Component(optim.sgd, "p - rate g"),
    "optim.adam": Component(optim.adam, "Kingma & Ba 2015, algorithm 1"),
}
OF_HMAR = {
    "hmar.behaviour_mask": Component(hmar.behaviour_mask, f"{HMAR} (3)"),
    "hmar.indicator": Component(hmar.indicator, f"{HMAR} (2)"),
    "hmar.candidate_counts": Component(hmar.candidate_counts, f"{HMAR} (2)"),
    "hmar.code": Component(hmar.code, f"{HMAR}s (1), (2)", ("item_code", "counts")),
    "hmar.input_code": Component(hmar.input_code, f"{HMAR} (1)", ("counts",)),
    "hmar.candidate_code": Component(hmar.candidate_code, f"{HMAR} (5)", ("counts",)),
    "hmar.behaviour_encoder": Component(hmar.behaviour_encoder, f"{HMAR} (3)", ("x",)),
    "hmar.sequence_encoder": Component(hmar.sequence_encoder, f"{HMAR} (4)", ("s", "residual")),
    "hmar.class_logits": Component(hmar.class_logits, f"{HMAR} (6)", ("q", "z")),
    "hmar.ranking_loss": Component(hmar.ranking_loss, f"{HMAR} (7)", ("positive", "negative")),
    "hmar.score": Component(hmar.score, f"{HMAR} (5)"),
    "hmar.released": Component(hmar_released.model, f"{HMAR}s (1)-(7), as released", kind="model"),
    "hmar": Component(hmar.model, f"{HMAR}s (1)-(7)", kind="model"),
}
OF_ATRANK = {
    "atrank.time_bucket": Component(shared.time_bucket, f"{ATRANK} (3)"),
    "atrank.behaviour_code": Component(atrank.behaviour_code, f"{ATRANK}s (2)-(4)"),
    "atrank.attention_block": Component(atrank.attention_block, f"{ATRANK}s (5), (6)", ("query", "memory")),
    "atrank.score": Component(atrank.score, f"{ATRANK} (7)"),
    "atrank.group_code": Component(atrank_groups.group_code, f"{ATRANK}s (2)-(4)"),
    "atrank.target_code": Component(atrank_groups.target_code, f"{ATRANK} (6)"),
    "atrank.user_vectors": Component(atrank_groups.user_vectors, f"{ATRANK} (6)", ("x", "states")),
    "atrank.groups_score": Component(atrank_groups.score, f"{ATRANK} (7)"),
    "atrank.groups": Component(atrank_groups.model, f"{ATRANK}s (2)-(7)", kind="model"),
    "atrank": Component(atrank.model, f"{ATRANK}s (2)-(7)", kind="model"),
}
OF_DMRAN = {
    "dmran.history_code": Component(dmran.history_code, f"{DMRAN} 1, 2"),
    "dmran.item_attention": Component(dmran.item_attention, f"{DMRAN} 3-7", ("H",)),
    "dmran.redundancy": Component(dmran.redundancy, f"{DMRAN} 22", ("A",)),
    "dmran.alignment": Component(dmran.alignment, f"{DMRAN} 9-11", ("M",)),
    "dmran.feature_attention": Component(dmran.feature_attention, f"{DMRAN} 12, 13", ("M",)),
    "dmran.vanilla": Component(dmran.vanilla, f"{DMRAN} 14, 15", ("M", "i_c")),
    "dmran.fusion": Component(dmran.fusion, f"{DMRAN} 16", ("h", "h_hat")),
    "dmran.score": Component(dmran.score, f"{DMRAN} 17"),
    "dmran": Component(dmran.model, f"{DMRAN} 1-22", kind="model"),
}
OF_HIERSREC = {
    "hiersrec.item_features": Component(hiersrec.item_features, f"{HIERSREC} (1)"),
    "hiersrec.encoder_block": Component(hiersrec.encoder_block, f"{HIERSREC} (1)", ("h",)),
    "hiersrec.encode": Component(hiersrec.encode, f"{HIERSREC} (1)"),
    "hiersrec.category_logp": Component(hiersrec.category_logp, f"{HIERSREC} (2)", ("s",)),
    "hiersrec.projection": Component(hiersrec.projection, f"{HIERSREC} (3)", ("logp",)),
    "hiersrec.joined": Component(hiersrec.join, f"{HIERSREC}s (2)-(4)", ("s",)),
    "hiersrec.item_logits": Component(hiersrec.item_logits, f"{HIERSREC} (4)", ("q",)),
    "hiersrec.candidates_topk": Component(hiersrec.candidates_topk, f"{HIERSREC} (6)"),
    "hiersrec.candidates_mass": Component(hiersrec.candidates_mass, f"{HIERSREC} (6)"),
    "hiersrec.candidates_budget": Component(hiersrec.candidates_budget, f"{HIERSREC} (6)"),
    "hiersrec.candidate_items": Component(hiersrec.candidate_items, f"{HIERSREC} (6)"),
    "hiersrec.candidates_share": Component(candidates.candidates_share, f"{HIERSREC} (6)"),
    "hiersrec.places": Component(candidates.places, f"{HIERSREC} (6)"),
    "hiersrec.gap": Component(candidates.gap, f"{HIERSREC} (6)", kind="metric"),
    "hiersrec.inject_target": Component(candidates.inject_target, f"{HIERSREC} (6), a leak"),
    "hiersrec.backfill": Component(candidates.backfill, f"{HIERSREC} (6)"),
    "hiersrec.two_level_logp": Component(candidates.two_level_logp, "Goodman 2001", ("category_logp", "item_logits")),
    "hiersrec.score": Component(hiersrec.score, f"{HIERSREC} (4)"),
    "hiersrec": Component(hiersrec.model, f"{HIERSREC}s (1)-(5)", kind="model"),
}
TIES, SAMPLED = "McSherry & Najork 2008", "Krichene & Rendle 2020"
METRICS = {
    "metrics.greater_and_ties": Component(metrics.greater_and_ties, "rank with ties"),
    "metrics.hit_rate": Component(metrics.hit_rate, TIES, kind="metric"),
    "metrics.mrr": Component(metrics.mrr, TIES, kind="metric"),
    "metrics.ndcg": Component(metrics.ndcg, TIES, kind="metric"),
    "metrics.recall_many": Component(metrics.recall_many, TIES, kind="metric"),
    "metrics.ndcg_many": Component(metrics.ndcg_many, TIES, kind="metric"),
    "metrics.auc": Component(metrics.auc, f"{DMRAN} 23", kind="metric"),
    "metrics.macro_auc": Component(metrics.macro_auc, f"{DMRAN} 23", kind="metric"),
    "metrics.expected_sampled_rank": Component(metrics.expected_sampled_rank, SAMPLED, kind="metric"),
    "metrics.rank_plug_in": Component(metrics.rank_plug_in, SAMPLED, kind="metric"),
    # no kind "metric": right solutions of its linear system in float32 differ by 1e-6
    "metrics.bias_variance_estimator": Component(metrics.bias_variance_estimator, f"after {SAMPLED}"),
    "metrics.mean_and_spread": Component(metrics.mean_and_spread, "mean and sample sd", kind="metric"),
    "metrics.paired_bootstrap": Component(metrics.paired_bootstrap, "paired bootstrap, percentiles", kind="metric"),
}
REGISTRY = {**SHARED, **OPTIMISERS, **METRICS, **OF_HMAR, **OF_ATRANK, **OF_DMRAN, **OF_HIERSREC}


def own_functions():
    """mbref's side of all components.  -> {component: function}."""
    return {name: component.function for name, component in REGISTRY.items()}
