"""The tolerances of reduced precision are measured, and by an emulation that rounds."""
import pytest

from mbref.check import casefile, run
from mbref.check.compare import REDUCED
from tests.golden import reduced
from tests.optional import require

FINE = 1 + 2.0**-11  # TF32 has 10 bits after the point: 1 or 1 + 2**-10


def test_products_are_rounded_and_their_gradients_too():
    torch = require("torch")
    a = torch.tensor([[FINE, 0.0]], requires_grad=True)
    b = torch.tensor([[1.0], [2 + 2.0**-9 * 1.25]])
    with reduced.emulate_tf32():
        y = a @ b
    y.backward()
    assert (y.item() - 1) in (0, 2.0**-10)
    assert a.grad.tolist() == [[1.0, 2 + 2.0**-9]]
    assert (a @ b).item() == FINE


def test_sums_are_not_rounded():
    torch = require("torch")
    with reduced.emulate_tf32():
        assert (torch.tensor([[FINE]]) + 1).item() == FINE + 1


@pytest.mark.parametrize("dtype", REDUCED)
@pytest.mark.parametrize("id", ["layers.dense/basic", "hmar.sequence_encoder/heads", "dmran.fusion/basic"])
def test_what_is_kept_is_not_less_than_what_a_case_shows(dtype, id):
    require("torch")
    case = casefile.cases(id)[0]
    file = case.component.partition(".")[0]
    functions, _ = run.load_implementation(reduced.FOLDER / f"{file}_torch.py")
    error = reduced.measure_in(dtype, functions[case.component], case)
    kept = casefile.manifest()["components"][case.component]["reduced"][dtype]
    assert kept / 400 < error < kept / 2
