"""More cases of HMAR as released, of sizes that no other case has.  {component: plans}."""
import numpy as np

from mbref.released.hmar import model as hmar
from tests.golden.draw import MANY_LENGTHS, displace, ids, moved, plan_coarse as plan, quieten, real_left, round8, steepen

WIDTH = 3


def model_case(rng, draw):
    """Another width, length and number of items; counts and labels as drawn."""
    variant, size, items = hmar.VARIANTS[draw["variant"]], draw["events"], draw["items"]
    K, real = len(variant.weights), real_left(draw["lengths"], size)
    config = hmar.Config(items=items, behaviours=K, variant=draw["variant"], width=WIDTH, length=size, dropout=0.0)
    follow = ids(rng, real, items)
    inputs = {"item": ids(rng, real, items), "behaviour": ids(rng, real, K),
              "counts": rng.integers(0, 4, (*real.shape, K)) * real[..., None] * 1.0, "next_item": follow,
              "negative": ids(rng, real, items), "next_weight": round8(rng.choice(variant.weights, real.shape)) * real,
              "next_label": rng.integers(0, K, real.shape) * real,
              "next_counts": rng.integers(0, 4, (*real.shape, K)) * real[..., None] * 1.0}
    return moved(rng, hmar.init(rng, config), 0.15), {name: np.asarray(a) for name, a in inputs.items()}


def row(name, flags, variant, heads=3, rate=0.01, **draw):
    return name, flags, {"variant": variant} | draw, {"variant": variant, "heads": heads, "rate": rate}


MIXED = {"lengths": (4, 2, 0), "events": 4, "items": 9}
QUIET_FLAGS = "LowVariance", "Padding", "Switch"
QUIET = quieten(model_case, "gamma", "beta")
SWITCH = {name: ("Switch",) for name in ("tianchi", "yelp", "movielens")}
MORE = {"hmar.released": [
    *plan(model_case, *(row(f"{name}_many_rows", ("ManyRows", "ManyItems", "EmptyHistory", *SWITCH.get(name, ())), name,
                            heads=3, lengths=MANY_LENGTHS, events=2, items=70)
                        for name in ("taobao",)),
          *(row(f"{name}_long", ("LongHistory", "OneUser", *SWITCH.get(name, ())), name, heads=1, lengths=(17,),
                events=17, items=9) for name in ("taobao",)), side="released"),
    *plan(QUIET, row("tianchi_low_variance", QUIET_FLAGS, "tianchi", rate=2.0**-30, **MIXED), side="released"),
    *plan(quieten(model_case, "final/gamma", "final/beta"), row(
        "movielens_low_variance", QUIET_FLAGS, "movielens", rate=2.0**-30, **MIXED), side="released"),
    *(one for by, name, flags in ((48.0, "tianchi_far", ("Far",)), (2.0**14, "tianchi_far_float64", ("Far", "Float64")))
      for one in plan(displace(model_case, "position", "sequence/v/b", by=by), row(
          name, (*flags, "Switch"), "tianchi", rate=2.0**-10, **MIXED), side="released")),
    *plan(steepen(model_case, 2.0**8, ("sequence/f2/w",)), row(
        "taobao_saturated", ("LargeValues", "Float64"), "taobao", **MIXED), side="released"),
    *plan(steepen(model_case), *(
        row(f"{name}_large", ("LargeValues", "Padding", *SWITCH.get(name, ())), name, **MIXED)
        for name in ("taobao",)), side="released"),
]}
