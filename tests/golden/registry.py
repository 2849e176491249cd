"""Every component of the kit: what the manifest says of it, its cases and its by-hand form, by
name."""
from mbref.check.components.reading import own_functions
from tests.golden.atrank import cases as atrank, cases_more as atrank_more, cases_sizes as atrank_sizes
from tests.golden.atrank_groups import cases as atrank_groups
from tests.golden.candidates import cases as candidates
from tests.golden.dmran import by_hand as dmran_by_hand, cases as dmran, cases_more as dmran_more, cases_sizes as dmran_sizes
from tests.golden.estimates import cases as estimates
from tests.golden.hiersrec import by_hand as hiersrec_by_hand, cases as hiersrec, cases_more as hiersrec_more, cases_sizes as hiersrec_sizes
from tests.golden.hmar import by_hand as hmar_by_hand, cases as hmar, cases_more as hmar_more, cases_sizes as hmar_sizes
from tests.golden.hmar_released import cases as hmar_released, cases_sizes as released_sizes
from tests.golden.metrics import cases as metrics, cases_more as metrics_more, cases_sizes as metrics_sizes
from tests.golden.optim import cases as optim, cases_sizes as optim_sizes
from tests.golden.shared import by_hand as shared_by_hand, cases as shared, cases_more as shared_more, cases_sizes as shared_sizes

CASES = (shared, optim, metrics, estimates, hmar, hmar_released, atrank, atrank_groups, dmran,
         hiersrec, candidates)
HANDS = (shared_by_hand, hmar_by_hand, dmran_by_hand, hiersrec_by_hand)
OWN = own_functions()
COMPONENTS = {name: row._replace(function=OWN[name])
              for family in CASES for name, row in family.COMPONENTS.items()}
MORE = (shared_more, hmar_more, atrank_more, dmran_more, hiersrec_more, metrics_more, shared_sizes, hmar_sizes,
        released_sizes, atrank_sizes, dmran_sizes, hiersrec_sizes, metrics_sizes, optim_sizes)
PLANS = {name: plans + [plan for more in MORE for plan in more.MORE.get(name, ())]
         for family in CASES for name, plans in family.PLANS.items()}
# beside the cases, or where there are many in a file of their own
BY_HAND = {name: function for family in (*CASES, *HANDS)
           for name, function in vars(family).get("BY_HAND", {}).items()}
