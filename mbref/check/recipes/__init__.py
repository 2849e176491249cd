"""How the golden cases are drawn, and the by-hand forms that admit them, by component."""
from mbref.check.recipes import hmar, shared

FAMILIES = (shared, hmar)
RECIPES = {name: rows for family in FAMILIES for name, rows in family.RECIPES.items()}
BY_HAND = {name: function for family in FAMILIES for name, function in family.BY_HAND.items()}
