"""How the golden cases are drawn, and the by-hand forms that admit them, by component."""
from mbref.check.recipes import (
    atrank,
    atrank_groups,
    dmran,
    dmran_by_hand,
    hiersrec,
    hiersrec_by_hand,
    hmar,
    hmar_by_hand,
    hmar_released,
    metrics,
    optim,
    shared,
    shared_by_hand,
)

CASES = (shared, optim, metrics, hmar, hmar_released, atrank, atrank_groups, dmran, hiersrec)
HANDS = (shared_by_hand, optim, metrics, hmar_by_hand, hmar_released, atrank, atrank_groups, dmran_by_hand,
         hiersrec_by_hand)
RECIPES = {name: rows for family in CASES for name, rows in family.RECIPES.items()}
BY_HAND = {name: function for family in HANDS for name, function in family.BY_HAND.items()}
