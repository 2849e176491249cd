"""Every component of the kit: what the manifest says of it, its cases and its by-hand form, by
name."""
from mbref.check.components.reading import own_functions
from tests.golden.atrank import cases as atrank, cases_more as atrank_more
from tests.golden.atrank_groups import cases as atrank_groups
from tests.golden.candidates import cases as candidates
from tests.golden.dmran import by_hand as dmran_by_hand, cases as dmran, cases_more as dmran_more
from tests.golden.estimates import cases as estimates
from tests.golden.hiersrec import by_hand as hiersrec_by_hand, cases as hiersrec, cases_more as hiersrec_more
from tests.golden.hmar import by_hand as hmar_by_hand, cases as hmar, cases_more as hmar_more
from tests.golden.hmar_released import cases as hmar_released
from tests.golden.metrics import cases as metrics, cases_more as metrics_more
from tests.golden.optim import cases as optim
from tests.golden.shared import by_hand as shared_by_hand, cases as shared, cases_more as shared_more

CASES = (shared, optim, metrics, estimates, hmar, hmar_released, atrank, atrank_groups, dmran,
         hiersrec, candidates)
HANDS = (shared_by_hand, hmar_by_hand, dmran_by_hand, hiersrec_by_hand)
OWN = own_functions()
COMPONENTS = {name: row._replace(function=OWN[name])
              for family in CASES for name, row in family.COMPONENTS.items()}
MORE = (shared_more, hmar_more, atrank_more, dmran_more, hiersrec_more, metrics_more)
PLANS = {name: plans + [plan for more in MORE for plan in more.MORE.get(name, ())]
         for family in CASES for name, plans in family.PLANS.items()}
# beside the cases, or where there are many in a file of their own
BY_HAND = {name: function for family in (*CASES, *HANDS)
           for name, function in vars(family).get("BY_HAND", {}).items()}
