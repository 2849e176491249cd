"""mbref/nn/device.py: what is moved and what is not, runs that change device, and one sentence where there is no GPU."""
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from autograd import grad

from mbref import evaluation, runs, training
from mbref.__main__ import main
from mbref.data.windows import Next
from mbref.nn import device
from mbref.nn.device import beside, device_of, to_device
from mbref.errors import InputError
from mbref.nn import optim
from mbref.papers import hmar
from mbref.data.shipped import tiny_data
from tests.nn.device_cases import DEVICE
from tests.nn.fake_cupy import FakeArray, cupy, made, transfers
from tests.test_training import HMAR, SPLIT, TINY, same


def test_moving_a_tree_there_and_back():
    host = {"a": np.arange(3), "b": [np.ones((2, 2), np.float32), (np.array(True), "text", 7, 2.5, None)],
            "c": Next(*np.arange(6.0).reshape(6, 1, 1))}
    transfers.clear()
    there = to_device(host, DEVICE)
    assert transfers == {"to_device": 9}
    assert isinstance(there["c"], Next) and isinstance(there["c"].negative, FakeArray)
    assert there["b"][1][1:] == ("text", 7, 2.5, None) and type(there["b"][1]) is tuple
    back = to_device(there, "cpu")
    assert transfers["to_host"] == 9
    assert [a.dtype for a in (back["a"], back["b"][0], back["b"][1][0])] == [np.int64, np.float32, bool]
    np.testing.assert_array_equal(back["c"].counts, host["c"].counts)


def test_what_is_there_already_is_not_copied():
    x = np.ones(3)
    there = to_device(x, DEVICE)
    transfers.clear()
    assert to_device(x, "cpu") is x and to_device([there], DEVICE)[0] is there and not transfers


def test_what_comes_back_is_a_copy_that_can_be_written():
    there = to_device(np.ones(3), DEVICE)
    back = to_device(there, "cpu")
    back[0] = 5
    np.testing.assert_array_equal(there.get(), np.ones(3))


def test_beside_and_device_of():
    x = np.ones(3)
    there = to_device(x, DEVICE)
    assert device_of({"b": [{"w": there}], "a": x}) == DEVICE and device_of([x]) == device_of(2.0) == "cpu"
    assert beside(x, x) is x and isinstance(beside(there, x), FakeArray)
    seen = []
    grad(lambda x: [seen.append((device_of(x), type(beside(x, np.ones(3))))), x @ x][1])(there)
    assert seen == [(DEVICE, FakeArray)]


def test_unknown_device():
    with pytest.raises(InputError, match="device is 'gpu0': choose one of cpu, cuda."):
        to_device({}, "gpu0")


# ---------------------------------------------------------------------------------------------- no GPU, no CuPy
def broken_cupy(problem, at):
    """A module cupy that fails with `problem` when it looks for a GPU ("count"), computes at all or multiplies matrices."""
    def fail(*_):
        raise problem

    matrix = type("Matrix", (), {"__matmul__": fail, "__mul__": lambda *_: None})
    count, ones = (fail, None) if at == "count" else (lambda: 1, fail if at == "compute" else lambda *_: matrix())
    return SimpleNamespace(__version__="14.2.0", ndarray=FakeArray, ones=ones,
                           cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count)))


TROUBLES = {
    "no CuPy": (None, "device cuda needs CuPy .*: pip install"),
    "no driver": (broken_cupy(RuntimeError("cudaErrorInsufficientDriver: CUDA driver version"), "count"),
                  "CuPy 14.2.0 finds no usable GPU .cudaErrorInsufficientDriver.*nvidia-smi"),
    "no compiler": (broken_cupy(OSError('Failure finding\n"libnvrtc.so.12"'), "compute"),
                    'CuPy 14.2.0 cannot compute .Failure finding "libnvrtc.so.12".: pip install'),
    "no cuBLAS": (broken_cupy(ImportError('Failure finding\n"libcublas.so.12"'), "multiply"),
                  'CuPy 14.2.0 cannot compute .Failure finding "libcublas.so.12".: pip install'),
}


@pytest.fixture(params=TROUBLES)
def trouble(request, monkeypatch):
    """sys.modules["cupy"] is None (a failing import) or a broken module.  -> what the sentence must say."""
    module, sentence = TROUBLES[request.param]
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.delitem(device.MODULES, "cuda", raising=False)
    return sentence


def test_cuda_without_what_it_needs_is_one_sentence(trouble):
    with pytest.raises(InputError, match=trouble) as error:
        to_device({}, "cuda")
    assert "\n" not in str(error.value) and "cpu" in str(error.value)
    assert "cuda" not in device.MODULES


def test_a_cupy_that_computes_is_taken(monkeypatch):
    """What tries it out is right in NumPy, too."""
    works = SimpleNamespace(__version__="14.2.0", ones=np.ones, cuda=SimpleNamespace(
        runtime=SimpleNamespace(getDeviceCount=lambda: 1)))
    monkeypatch.setitem(sys.modules, "cupy", works)
    assert device.import_cupy() is works


@pytest.mark.trains
@pytest.mark.parametrize("command", ["train", "resume", "evaluate", "recommend", "check"])
def test_command_line_without_a_gpu(command, trouble, a_run, tmp_path, capsys):
    log = str(tiny_data() / "taobao" / "UserBehavior.csv")
    arguments = {"train": ["train", "hmar", "--out", str(tmp_path / "new"), "--data", log, "--format", "taobao",
                           "--target", "buy"],
                 "resume": ["train", "--resume", str(a_run)], "evaluate": ["evaluate", str(a_run)],
                 "recommend": ["recommend", str(a_run), "--user", "1"], "check": ["check"]}[command]
    assert main([*arguments, "--device", "cuda"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("mbref: ") and err.count("\n") == 1 and "Traceback" not in err
    assert not (tmp_path / "new").exists()


@pytest.mark.trains
def test_command_line_refuses_another_device(a_run, capsys):
    assert main(["evaluate", str(a_run), "--device", "tpu"]) == 2
    assert "choose from" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ whole runs
@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    """The folder of a short run on the tiny Taobao log."""
    folder = tmp_path_factory.mktemp("run") / "hmar"
    task = runs.Task(str(tiny_data() / "taobao" / "UserBehavior.csv"), "taobao", "buy")
    settings = training.Settings(steps=4, batch_size=4, evaluate_every=2)
    overrides = {"width": "4", "length": "5", "dropout": "0.2"}
    runs.train("hmar", folder, task, overrides, settings, lambda *_: None, progress=False)
    return folder


@pytest.fixture
def as_cuda(monkeypatch):
    """device "cuda" is the double."""
    monkeypatch.setitem(device.MODULES, "cuda", cupy)
    monkeypatch.setitem(device.ARRAYS, FakeArray, "cuda")


@pytest.mark.trains
def test_training_on_the_device_is_training(tmp_path):
    """Eight steps with dropout, validations, best parameters; checkpoints hold host arrays."""
    def fit(where, save):
        validate = evaluation.validation(hmar, HMAR, SPLIT)
        return training.fit(hmar, HMAR, TINY, SPLIT.train, validate, save=save, progress=False, device=where)

    def save(state):
        training.save_checkpoint(tmp_path / "there.npz", state, HMAR, TINY)

    here, there = fit("cpu", None), fit(DEVICE, save)
    assert all(isinstance(a, FakeArray) for part in training.TREES for _, a in optim.leaves(getattr(there, part)))
    loaded = training.load_checkpoint(tmp_path / "there.npz", hmar, HMAR, TINY)
    assert same(loaded, to_device(there, "cpu"))
    np.testing.assert_allclose([row[1:] for row in here.validations], [row[1:] for row in there.validations], rtol=1e-5)
    for (name, a), (_, b) in zip(optim.leaves(here.params), optim.leaves(loaded.params), strict=True):
        assert type(b) is np.ndarray and b.dtype == np.float32
        if not name.endswith("k/b"):  # softmax cancels a key's bias: its steps are rounding
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6, err_msg=name)  # 5e-7 measured, in a bias


@pytest.mark.trains
def test_a_run_may_change_device_in_the_middle(tmp_path):
    """Four steps there, a checkpoint, four steps here; and the other way round: as eight steps on either."""
    settings = replace(TINY, float32=False)
    whole = training.fit(hmar, HMAR, settings, SPLIT.train, progress=False)
    for first, then in ((DEVICE, "cpu"), ("cpu", DEVICE)):
        path = tmp_path / f"{first}.npz"
        half = training.fit(hmar, HMAR, replace(settings, steps=4), SPLIT.train, progress=False, device=first)
        training.save_checkpoint(path, half, HMAR, settings)
        state = training.load_checkpoint(path, hmar, HMAR, settings, then)
        assert device_of(state.params) == then
        end = to_device(training.fit(hmar, HMAR, settings, SPLIT.train, state=state, progress=False), "cpu")
        for (name, a), (_, b) in zip(optim.leaves(end.params), optim.leaves(whole.params), strict=True):
            if not name.endswith("k/b"):  # as above
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.trains
def test_command_line_on_the_device(a_run, as_cuda, tmp_path, capsys):
    """train, evaluate and recommend print the same on the double as on the CPU, and the run does not hold a device."""
    again = tmp_path / "again"
    task = ["--data", str(tiny_data() / "taobao" / "UserBehavior.csv"), "--format", "taobao", "--target", "buy"]
    given = [part for pair in ("width=4", "length=5", "dropout=0.2", "batch_size=4", "evaluate_every=2")
             for part in ("--set", pair)]
    transfers.clear()
    assert main(["train", "hmar", "--out", str(again), *task, "--steps", "4", *given, "--device", "cuda"]) == 0
    assert transfers["to_device"] and "cuda" not in (again / "run.json").read_text()
    assert (again / "run.json").read_text() == (a_run / "run.json").read_text()
    printed = {}
    for where in ("cpu", "cuda"):
        capsys.readouterr()
        transfers.clear()
        assert main(["evaluate", str(again), "--device", where]) == 0
        assert main(["recommend", str(again), "--user", first_user(again), "--device", where]) == 0
        assert bool(+transfers) == (where == "cuda")
        printed[where] = capsys.readouterr().out
    assert printed["cpu"] == printed["cuda"]


def test_golden_cases_on_the_device(as_cuda, capsys):
    """mbref's own functions pass on the double, taps, gradients and steps too; no metric is asked of a device."""
    made.clear()
    assert main(["check", "--device", "cuda", "--dtype", "float32"]) == 0
    assert "fail" not in capsys.readouterr().out.splitlines()[-1] and made["float32"]
    for on_host in ("metrics", "hiersrec.candidate_items", "hiersrec.places", "hiersrec.gap", "hiersrec.inject_target",
                    "hiersrec.backfill", "hiersrec.two_level_logp"):
        assert main(["check", "--device", "cuda", "--only", on_host]) == 2


def test_check_leaves_other_frameworks_their_devices(as_cuda, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mbref.check.run.find_spec", lambda name: True)  # as if JAX were here
    file = tmp_path / "mine.py"
    file.write_text("BACKEND = 'jax'\ndef layers_dense(params, inputs, tap):\n    return {}\n")
    assert main(["check", str(file), "--device", "cuda"]) == 2
    assert "BACKEND in that file is 'jax'" in capsys.readouterr().err


def first_user(folder):
    """A raw user id of the run's log."""
    return str(runs.open_run(folder).log.users[1])


@pytest.mark.trains
def test_a_loss_that_is_not_finite_is_one_sentence_on_the_device_too():
    settings = replace(TINY, rate=1e30, optimiser="sgd", clip=1e30)
    with pytest.raises(InputError, match="the loss is .* at step .*: choose a smaller rate"):
        training.fit(hmar, HMAR, settings, SPLIT.train, progress=False, device=DEVICE)
