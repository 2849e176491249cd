"""How the golden cases are drawn, and the by-hand forms that admit them, by component."""
from mbref.check.recipes import (
    atrank,
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
    shared,
    shared_by_hand,
)

CASES = (shared, metrics, hmar, hmar_released, atrank, dmran, hiersrec, candidates, estimates)
HANDS = (shared_by_hand, metrics, hmar_by_hand, hmar_released, atrank, dmran_by_hand, hiersrec_by_hand,
         candidates, estimates)
RECIPES = {name: rows for family in CASES for name, rows in family.RECIPES.items()}
BY_HAND = {name: function for family in HANDS for name, function in family.BY_HAND.items()}
