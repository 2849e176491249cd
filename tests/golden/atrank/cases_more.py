"""More cases of ATRank: large values, norms' epsilons, every setting, other shapes.  {component: plans}.
"""
from tests.golden.atrank.cases import (
    FEW,
    PRINTED,
    RELEASED,
    S,
    attention_block_case,
    block_row,
)
from tests.golden.atrank_groups import cases as groups
from tests.golden.draw import enlarge, plan, quieten

NARROW = {"table_width": 2, "hidden": 3}
SMALL = {"base": RELEASED | NARROW, "width": 4}
PRINTED_SMALL = {"base": PRINTED | NARROW, "width": 4}
RATE = 2.0**-24                        # of steps that large gradients leave small
TABLES = (("tables", 128),)      # scores are of normalised vectors and these
LARGE = ("LargeValues", "Padding")


MORE = {
    "atrank.attention_block": [
        *plan(enlarge(attention_block_case, "query", "memory"), block_row("large", LARGE, FEW),
              block_row("large_empty", ("LargeValues", "EmptyHistory"), (S, 0, 2)), side="released"),
        *plan(quieten(attention_block_case, "ln_f/gamma", "ln_f/beta", names=("query", "memory")),
              block_row("second_norm", ("LowVariance",), FEW), side="released"),
        *plan(enlarge(attention_block_case, "query", "memory"),
              block_row("large_bilinear", (*LARGE, "Switch"), FEW, scores="bilinear"), side="paper")],
    "atrank.user_vectors": plan(
        enlarge(groups.user_vectors_case, "x", "states"),
        ("large", LARGE, {"blocks": 1, "lengths": (S, 3, 0)}, {"heads": 1, "scores": "dot"}), side="released"),
}
