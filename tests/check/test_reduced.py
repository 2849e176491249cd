"""bfloat16 and TF32: what is compared, by which tolerance, and that the numbers get there."""
import numpy as np
import pytest

from mbref.__main__ import main
from mbref.check import casefile, check as check_function, run
from mbref.check.compare import REDUCED
from mbref.errors import InputError
from tests.optional import require

DENSE = casefile.cases("layers.dense/basic")[0]
KEPT = casefile.manifest()["components"]["layers.dense"]["reduced"]


@pytest.mark.parametrize("dtype", REDUCED)
@pytest.mark.parametrize("times, right", [(0.9, True), (1.1, False)])
def test_the_tolerance_is_that_of_the_component(dtype, times, right):
    want = casefile.answers(casefile.arrays(DENSE), gradients=False)
    off = times * KEPT[dtype] * np.abs(want["outputs/y"]).max()
    got = {"outputs/y": (want["outputs/y"] + off).astype(np.float32)}
    assert run.judge(DENSE, want, got, dtype).passed == right


def test_cases_that_few_digits_cannot_hold_apart_are_left_out():
    chosen = casefile.cases()
    taken = [case for case in chosen if run.is_for(case, "bfloat16")]
    assert DENSE in taken and not [case for case in taken if "LargeValues" in case.flags]
    assert {case.component for case in taken} == {
        name for name, one in casefile.manifest()["components"].items() if "bfloat16" in one.get("reduced", {})}


def test_there_is_no_training():
    jobs = run.list_jobs({"hmar": None}, casefile.cases("hmar/"), ["tf32"])
    assert jobs and not any(steps for *_, steps in jobs)


def check(capsys, path, *options):
    code = main(["check", str(path), *options])
    out = capsys.readouterr()
    return code, out.out + out.err


def test_numpy_is_refused(capsys, tmp_path):
    (tmp_path / "mine.py").write_text("def layers_dense(params, inputs, tap):\n    return {}\n")
    for dtype in REDUCED:
        code, text = check(capsys, tmp_path / "mine.py", "--dtype", dtype)
        assert code == 2 and "NumPy rounds neither to bfloat16 nor to tf32" in text


def layer_norm(x, gamma, beta, eps):
    centred = x - x.mean(-1, keepdims=True)
    return gamma * centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) + beta


def test_a_function_in_a_notebook_is_not_shown_what_its_dtype_cannot_hold(capsys):
    cases = casefile.cases("layers.layer_norm")
    check_function("layers.layer_norm", layer_norm, dtype="float32")
    assert capsys.readouterr().out == f"layers.layer_norm: {len(cases) - 1} cases pass\n"
    with pytest.raises(InputError, match="layer_norm/far_float64 has no case for float32"):
        check_function(cases[-1], layer_norm, dtype="float32")
    with pytest.raises(InputError, match="NumPy rounds neither to bfloat16"):
        check_function("layers.layer_norm", layer_norm, dtype="bfloat16")


PORT = """
BACKEND = "torch"
def layers_dense(params, inputs, tap):
    assert str(inputs["x"].dtype) == "torch.{dtype}"
    return {{"y": inputs["x"] @ params["w"]{turned} + params["b"]}}
"""


@pytest.mark.parametrize("dtype, seen", [("bfloat16", "bfloat16"), ("tf32", "float32")])
def test_a_port_in_torch(capsys, tmp_path, dtype, seen):
    torch = require("torch")
    path = tmp_path / "mine.py"
    path.write_text(PORT.format(dtype=seen, turned=""))
    kept = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
        code, text = check(capsys, path, "--dtype", dtype)
    finally:
        torch.set_float32_matmul_precision(kept)
    assert code == 0 and f"ok   layers.dense/basic [{dtype}]  4 compared" in text
    path.write_text(PORT.format(dtype=seen, turned=".flip(0)"))
    code, text = check(capsys, path, "--dtype", dtype)
    assert code == 1 and "looks like" not in text
