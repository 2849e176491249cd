"""The worked implementations in tests/crosscheck pass the golden cases and offer every component of
their paper."""
from functools import cache
from pathlib import Path

import pytest

from mbref.__main__ import main
from mbref.check import cases, load_implementation, report, run
from mbref.check.casefile import manifest
from tests.optional import require

FOLDER = Path(__file__).parents[1] / "crosscheck"
FILES = {"layers_torch": ("layers", "masks", "attention", "losses"), "atrank_torch": ("atrank",),
         "dmran_torch": ("dmran",), "hiersrec_torch": ("hiersrec",), "hmar_torch": ("hmar",),
         "hmar_jax": ("hmar",),
         "optim_torch": ("optim",)}


@cache
def loaded(name):
    """-> ({component: function}, backend); the test is skipped where its framework is not
    installed."""
    framework = name.partition("_")[2]
    library = require(framework)
    if framework == "jax":  # nearly all of the time is that of its compiler
        library.config.update("jax_disable_most_optimizations", True)
    return load_implementation(FOLDER / f"{name}.py")


def components_of(families):
    """Names of components, whole models too; what the authors of a paper released is no part of the
    paper."""
    return {name for name in manifest()["components"] if name.partition(".")[0] in families
            and ".released" not in name}


def cases_of(families):
    """All cases of these components."""
    return [case for case in cases() if case.component in components_of(families)]


JOBS = [(name, case, dtype) for name in FILES for case in cases_of(FILES[name])
        for dtype in ("float64", "float32") if run.is_for(case, dtype)]


@pytest.mark.parametrize("name, case, dtype", JOBS, ids=str)
def test_agrees_in_every_array(name, case, dtype):
    functions, backend = loaded(name)
    result = run.run_case(case, functions[case.component], backend, dtype)
    assert result.passed, "\n".join(report.text([result]))
    assert result.not_offered == []


@pytest.mark.parametrize("name, families", FILES.items())
def test_offers_every_component_and_no_other(name, families):
    assert set(loaded(name)[0]) == components_of(families)


@pytest.mark.parametrize("name", FILES)
def test_the_command_says_so_too(name, capsys):
    one = sorted(loaded(name)[0])[1]  # after the whole model
    assert main(["check", str(FOLDER / f"{name}.py"), "--only", one]) == 0
    assert "cases: " in capsys.readouterr().out


def test_call_lends_parameters_and_their_gradients():
    """By hand: [1 10] [2 3]^T + 5 = 37, whose gradient by the weights is [1 10]."""
    torch = require("torch")
    from tests.crosscheck.torch_modules import call
    w, b, x = torch.tensor([[2.0], [3.0]],
                           requires_grad=True), torch.tensor([5.0]), torch.tensor([1.0, 10.0])
    alone = call(torch.nn.Linear(2, 1), {"w": w, "b": b}, x)
    inside = call(torch.nn.Sequential(torch.nn.Linear(2, 1)), [{"w": w, "b": b}], x)
    inside.backward()
    assert alone.tolist() == inside.tolist() == [37.0]
    assert w.grad.tolist() == [[1.0], [10.0]]
    with pytest.raises(AttributeError, match="other"):
        call(torch.nn.Linear(2, 1), {"other": {"w": w, "b": b}}, x)
