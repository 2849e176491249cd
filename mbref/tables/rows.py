"""The papers' tables: rows, sweeps, and what the papers printed.

A row is (model, {field: text}): what differs from the defaults of the model's Config or of
training.Settings. Numbers that a paper printed stand beside ours; they are of other data.
"""
from typing import NamedTuple

AUC = {"validate": "AUC"}
MATCHED, RANDOM_TEXT, BOUND = "flat MTL, matched width", "random text", "oracle (a bound)"

ATRANK = {f"att-{read}2{predicted}": ("atrank", {}) for read, predicted in (
    "ii", "qq", "cc", "ai", "aq", "ac", "aa")}
ITEM = {"tasks": "item"}
HIERSREC = {
    "SASRec": ("sasrec", {"validate": "MRR@20"}),
    **{row: ("hiersrec", {**ITEM, "inputs": inputs}) for row, inputs in (
        ("ID only", "id"), ("ID + category", "id+category"), ("ID + text", "id+text"))},
    "no MTL": ("hiersrec", ITEM),
    "no metadata": ("hiersrec", {"inputs": "id"}),
    "flat MTL": ("hiersrec", {"hier": "none"}),
    MATCHED: ("hiersrec", {"hier": "none"}),
    "HierSRec": ("hiersrec", {}),
    RANDOM_TEXT: ("hiersrec", {}),
    **{kind: ("hiersrec", {"hier": kind}) for kind in ("stop", "logits", "tied")},
    BOUND: ("hiersrec", {"hier": "oracle"}),
    "item weights tied": ("hiersrec", {"item_out": "tied"}),
    **{f"lambda = {x}": ("hiersrec", {"category_weight": x}) for x in ("0", "0.1", "0.3", "3")},
}
HMAR = {
    "BPR-MF": ("bpr_mf", {"rate": "0.01"}),
    "HMAR": ("hmar", {}),
    "without behaviour encoder": ("hmar", {"merge": "bypass"}),
    "without indicators": ("hmar", {"indicator": "false"}),
    "without multi-task loss": ("hmar", {"theta": "0"}),
    **{f"theta {x}": ("hmar", {"theta": x}) for x in ("0.2", "0.5", "1")},
}
DMRAN = {
    "BPR-MF": ("bpr_mf", {**AUC, "rate": "0.01"}),
    "SASRec": ("sasrec", AUC),
    "Bi-LSTM": ("bilstm", {}),
    "Bi-LSTM+Attention": ("bilstm", {"attention": "true"}),
    "CNN+Pooling": ("cnn", {}),
    "ATRank": ("atrank", {}),
    "ATRank, released": ("atrank_released", {}),
    "DMRAN_No_Time": ("dmran", {"time": "false"}),
    "DMRAN_Item": ("dmran", {"variant": "item"}),
    "DMRAN_Feature": ("dmran", {"variant": "feature"}),
    "DMRAN": ("dmran", {}),
    "DMRAN, robust": ("dmran", {"robust": "true"}),
    **{f"r = {r}": ("dmran", {"hops": str(r)}) for r in (2, 5, 8, 15, 20)},
    **{f"lambda_3 = {x}": ("dmran", {"redundancy": x}) for x in ("0", "0.01", "1")},
}

# AUC, DMRAN (IJCAI 2019), table 2: Amazon Electronics, Amazon Clothing
DMRAN_TABLE_2 = {
    "BPR-MF": (0.8022, 0.6069),
    "Bi-LSTM": (0.8734, 0.6590),
    "Bi-LSTM+Attention": (0.8766, 0.6612),
    "CNN+Pooling": (0.8804, 0.6696),
    "ATRank": (0.8910, 0.6725),
    "DMRAN_No_Time": (0.8712, None),
    "DMRAN_Item": (0.8896, 0.6714),
    "DMRAN_Feature": (0.8835, 0.6468),
    "DMRAN": (0.8932, 0.6779),
}
# the same on Electronics by the number of hops; r = 5 is in a figure only
DMRAN_HOPS = {2: 0.8896, 8: 0.8921, 10: 0.8932, 15: 0.8915, 20: 0.8910}
PUBLISHED = {
    **{row: {"paper: Electronics": electronics, "paper: Clothing": clothing}
       for row, (electronics, clothing) in DMRAN_TABLE_2.items()},
    **{f"r = {r}": {"paper: Electronics": auc} for r, auc in DMRAN_HOPS.items() if r != 10},
}
PUBLISHED_NOTE = "paper: AUC as the paper printed it, on Amazon data: other data than this."


class Sweep(NamedTuple):
    """Rows that differ in one setting, for a figure."""
    name: str      # of the file
    field: str     # of the Config
    values: dict   # {value: row}
    label: str     # of the axis
    world: str = ""  # on which, not on a log


SWEEPS = {
    "theta": Sweep("theta", "theta", {
        0: "without multi-task loss", 0.1: "HMAR", **{x: f"theta {x}" for x in (0.2, 0.5, 1)}},
        "theta, weight of the class loss"),
    "hops": Sweep("hops", "hops", {
        r: "DMRAN" if r == 10 else f"r = {r}" for r in (2, 5, 8, 10, 15, 20)},
        "r, number of hops"),
    "redundancy": Sweep("redundancy", "redundancy", {
        0: "lambda_3 = 0", 1e-4: "DMRAN", 1e-2: "lambda_3 = 0.01", 1: "lambda_3 = 1"},
        "lambda_3, weight of the redundancy penalty"),
    "lambda": Sweep("lambda", "category_weight", {
        x: "HierSRec" if x == 1 else f"lambda = {x}" for x in (0, 0.1, 0.3, 1, 3)},
        "lambda, weight of the category loss"),
}


class RealLog(NamedTuple):
    """A public log, where it lies in the folder of --real, and what others reach on it."""
    name: str
    path: str
    format: str
    target: str
    candidates: str
    settings: dict   # {model: what of its training differs from REAL_SETTINGS}
    models: tuple    # of mechanisms.OTHERS
    notes: tuple     # measured once, each by a protocol of its own


REAL_SETTINGS = {"steps": "3000", "evaluate_every": "300", "patience": "3",
                 "validation_cases": "200", "validate": "NDCG@10"}
EPOCHS = {"steps": "300", "evaluate_every": "50"}  # six of Taobao's, a second a step
REAL_GRID = ("rate=1e-3,3e-3,1e-2",)
REAL = (
    RealLog("Taobao", "taobao_userbehavior/UserBehavior.csv", "taobao", "buy", "all",
            {"SASRec": EPOCHS, "HierSRec": EPOCHS},  # whose softmax is over all 55,368 items
            ("BPR-MF", "SASRec", "ATRank", "DMRAN", "HierSRec", "HMAR"), (
        "HMAR's release, items with 3 events, among 99 of its negatives: HR@10 .834, NDCG@10 .620; "
        "seen before HR@10 .868.",
        "ATRank's release, one negative: AUC .868; its BPR .859, category recency .855.")),
    RealLog("MovieLens-100K", "movielens_100k/ml-100k.inter", "recbole", "any", "unseen",
            {},
            ("BPR-MF", "SASRec", "ATRank", "DMRAN", "HierSRec"), (
        "HR@10/NDCG@10 of others: popularity .086/.044, item-kNN .136/.077, first-order Markov "
        ".168/.089, BPR-MF .115-.122/.060-.065, SASRec .200/.105, with full softmax .207/.112.",
        "HMAR predicts one behaviour: it is not trained on this log.")),
)


class Paper(NamedTuple):
    """What `reproduce` trains for a paper, and what the paper says."""
    kind: str               # of its table, of reproduce.KINDS
    own: str                # the row of the paper's own model
    rows: dict
    sweeps: tuple = ()
    published: dict = {}    # {row: {column: number}}


PAPERS = {
    "atrank": Paper("groups", "att-a2a", ATRANK),
    "dmran": Paper("AUC", "DMRAN", DMRAN, (SWEEPS["hops"], SWEEPS["redundancy"]),
                   published=PUBLISHED),
    "hiersrec": Paper("sessions", "HierSRec", HIERSREC, (SWEEPS["lambda"],)),
    "hmar": Paper("ranking", "HMAR", HMAR, (SWEEPS["theta"],)),
}
