"""How the golden cases are drawn, and the by-hand forms that admit them, by component."""
from mbref.check.recipes import (
    atrank,
    atrank_groups,
    candidates,
    dmran,
    dmran_by_hand,
    estimates,
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

CASES = (shared, optim, metrics, estimates, hmar, hmar_released, atrank, atrank_groups, dmran, hiersrec, candidates)
HANDS = (shared_by_hand, optim, metrics, estimates, hmar_by_hand, hmar_released, atrank, atrank_groups, dmran_by_hand,
         hiersrec_by_hand, candidates)
RECIPES = {name: rows for family in CASES for name, rows in family.RECIPES.items()}
BY_HAND = {name: function for family in HANDS for name, function in family.BY_HAND.items()}
