"""`bench device`: the losses in PyTorch that it compares with are the models' own; without a GPU one sentence."""
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from autograd import value_and_grad

from mbref import training
from mbref.bench import device as bench_device
from mbref.nn.device import to_device
from mbref.errors import InputError
from mbref.nn import optim
from tests.bench import gpu
from tests.bench.__main__ import main, parser
from tests.nn.device_cases import DEVICE
from tests.optional import library, require

torch = library("torch")
LOSSES = Path(__file__).parents[1] / "torch_losses.py"
SMALL = dict(users=20, items=30, length=6, width=16, batch=8)
PAPERS = ("atrank", "dmran", "hiersrec", "hmar")


def to_torch(x):
    if isinstance(x, np.ndarray):
        return torch.tensor(x)
    if isinstance(x, (list, tuple)):
        return type(x)(*map(to_torch, x)) if hasattr(x, "_fields") else type(x)(map(to_torch, x))
    return {name: to_torch(part) for name, part in x.items()} if isinstance(x, dict) else x


@pytest.mark.parametrize("name", PAPERS)
def test_losses_in_torch_are_the_models_own(name):
    case, = bench_device.cases([name], **SMALL)
    config = replace(case.config, dropout=0.0) if hasattr(case.config, "dropout") else case.config
    case = case._replace(config=config, settings=replace(case.settings, float32=False))
    rng = np.random.default_rng(1)
    params = optim.tree_map(lambda a: a + rng.normal(0, 0.2, a.shape), training.begin(
        case.model, config, case.settings).params)
    batch = bench_device.batch_of(case, 0)
    want, want_grads = value_and_grad(case.model.loss)(params, batch, config)
    there = to_torch(params)
    leaves = optim.leaves(there)
    for _, leaf in leaves:
        leaf.requires_grad_()
    got = bench_device.losses_in(LOSSES)[name](there, to_torch(batch), config)
    got.backward()
    assert got.item() == pytest.approx(want, rel=1e-10)
    for (path, leaf), (_, g) in zip(leaves, optim.leaves(want_grads), strict=True):
        found = np.zeros_like(g) if leaf.grad is None else leaf.grad.numpy()
        np.testing.assert_allclose(found, g, rtol=1e-8, atol=1e-11, err_msg=path)


@pytest.mark.trains
@pytest.mark.parametrize("name", PAPERS)
def test_steps_in_torch_are_training_steps(name):
    """Two steps from the same parameters on the same batches, by torch's Adam and clipping, change them as ours do."""
    require("torch")
    case, = bench_device.cases([name], **SMALL)
    config = replace(case.config, dropout=0.0) if hasattr(case.config, "dropout") else case.config
    case = case._replace(config=config, settings=replace(case.settings, rate=0.01, float32=False))
    seen = {}

    def loss(params, batch, config):
        seen["params"] = params
        return bench_device.losses_in(LOSSES)[name](params, batch, config)

    step, state = bench_device.step_in_torch(case, loss, "cpu"), training.begin(case.model, config, case.settings)
    for number in (0, 1):
        step(number)
        batch = bench_device.batch_of(case, number)
        grads = value_and_grad(case.model.loss)(state.params, batch, config)[1]
        params, moments = optim.update(training.rule(case.settings), state.params, grads, state.moments, number + 1)
        state = state._replace(params=params, moments=moments)
    for (path, a), (_, b) in zip(optim.leaves(seen["params"]), optim.leaves(state.params), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b, rtol=1e-6, atol=1e-6, err_msg=path)


@pytest.mark.trains
def test_every_model_on_the_double(capsys, monkeypatch):
    monkeypatch.setattr(gpu, "about", lambda device: "a double")
    sizes = ["--items", "30", "--length", "6", "--width", "16", "--batch", "4", "--repeats", "1"]
    arguments = ["device", *sizes, "--model", "hmar", "--model", "bpr_mf"]
    gpu.run(parser().parse_args(arguments), DEVICE)
    first, head, *rows, _ = capsys.readouterr().out.splitlines()
    assert first == "a double; items 30, length 6, width 16, batch 4" and head.split()[:3] == ["model", "batch", "cpu"]
    assert [row.split()[0] for row in rows] == ["hmar", "bpr_mf"]
    assert all(row.split()[-2] == "-" and float(row.split()[-1]) < 1e-5 for row in rows)


def test_error_sees_a_wrong_gradient(monkeypatch):
    case, = bench_device.cases(["bpr_mf"], **SMALL)
    assert gpu.error(case, DEVICE) < 1e-6
    wrong = bench_device.batch_of(case, 0)
    wrong = wrong._replace(user=np.roll(wrong.user, 1))

    def move(tree, device):
        is_batch = type(tree) is type(wrong) and device == DEVICE
        return to_device(wrong if is_batch else tree, device)

    monkeypatch.setattr(gpu, "to_device", move)
    assert gpu.error(case, DEVICE) > 1e-2


def test_without_a_gpu(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(["device"]) == 2
    assert capsys.readouterr().err.startswith("tests.bench: device cuda needs CuPy")
    assert main(["device", "--width", "20"]) == 2
    assert "--width a multiple of 16" in capsys.readouterr().err


def test_a_file_without_losses(tmp_path):
    for text, sentence in (("x = 1", "has no function such as"), ("1 / 0", "cannot be imported .ZeroDivisionError")):
        file = tmp_path / "mine.py"
        file.write_text(text)
        with pytest.raises(InputError, match=sentence):
            bench_device.losses_in(file)
