"""More cases of the optimisers, of more numbers than others have.  {component: plans}."""
from tests.golden.draw import normal, plan
from tests.golden.optim.cases import ADAM

SHAPES = {"w": (5, 13), "b": (35,)}


def grads_case(rng, draw):
    return {}, {name: normal(rng, *shape) for name, shape in SHAPES.items()}


def steps_case(rng, draw):
    """Two steps."""
    arrays = grads_case(rng, draw)[1]
    return {}, arrays | {f"grad_{name}": normal(rng, 2, *a.shape) for name, a in arrays.items()}


MANY = "many", ("ManyRows", "Clipped"), {}
MORE = {"optim.clip_by_global_norm": plan(grads_case, (*MANY, {"limit": 4.0})),
        "optim.sgd": plan(steps_case, (*MANY, {"rate": 0.25, "clip": 4.0})),
        "optim.adam": plan(steps_case, (*MANY, ADAM | {"clip": 4.0}))}
