"""What somebody who imports mbref may give wrongly: one sentence that names it; what is right in another dress is right."""
from dataclasses import MISSING, fields

import numpy as np
import pytest

from mbref import runs, training
from mbref.baselines import bpr_mf
from mbref.errors import InputError

WRONG = ("7", None, 2.5, float("nan"), True, [1, 2], -3, {}, "text\n", 10**30, ("a",), {"a"})
TASK = dict(data="log.csv", format="taobao", target="buy")
KINDS = {"Settings": (training.Settings, {}), "Task": (runs.Task, TASK),
         **{name: (model.Config, None) for name, model in runs.MODELS.items()},
         **{f"{name} variants": (model.Config, None) for name, model in runs.VARIANTS.items()}}


def needs(kind):
    """Values of the fields that have no default."""
    given = {field.name: 4 for field in fields(kind) if field.default is MISSING}
    return given | ({"items": 5} if "tables" in {field.name for field in fields(kind)} else {})


def is_of(value, kind):
    kinds = {float: (int, float)}.get(kind, getattr(kind, "__origin__", kind))
    return isinstance(value, kinds) and (kind is bool or value is not True)


@pytest.mark.parametrize("name", KINDS)
def test_a_setting_of_another_type(name):
    """Never anything but InputError, and InputError for all that is of another type."""
    kind, given = KINDS[name]
    given = needs(kind) if given is None else given
    kind(**given)
    for field in fields(kind):
        for value in WRONG:
            if field.type is tuple and isinstance(value, tuple):
                continue  # what stands in a tuple of any kind is not looked at
            try:
                kind(**{**given, field.name: value})
                assert is_of(value, field.type), (field.name, value)
            except InputError as error:
                assert field.name in str(error) or is_of(value, field.type), (field.name, value, error)


def test_a_setting_may_be_a_number_of_numpy(tmp_path):
    config = bpr_mf.Config(items=np.int64(5), users=np.int32(3), width=4, penalty=np.float32(0.5))
    settings = training.Settings(steps=np.int64(2), rate=np.float32(0.25))
    state = training.begin(bpr_mf, config, settings)
    training.save_checkpoint(tmp_path / "a.npz", state, config, settings)
    plain = bpr_mf.Config(items=5, users=3, width=4, penalty=0.5)
    found = training.load_checkpoint(tmp_path / "a.npz", bpr_mf, plain, training.Settings(steps=2, rate=0.25))
    assert found.params["item"].tobytes() == state.params["item"].tobytes()
