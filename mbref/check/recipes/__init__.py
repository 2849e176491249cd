"""How the golden cases are drawn, and the by-hand forms that admit them, by component."""
from mbref.check.recipes import hmar, hmar_by_hand, shared

RECIPES = {name: rows for family in (shared, hmar) for name, rows in family.RECIPES.items()}
BY_HAND = {name: function for family in (shared, hmar_by_hand) for name, function in family.BY_HAND.items()}
