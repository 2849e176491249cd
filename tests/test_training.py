"""Training, evaluation and baselines: resuming bit for bit, damaged files, early stopping, ranks and counts by hand."""
import errno
import json
import os
import signal
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.test_util import check_grads

from mbref import evaluation, training
from mbref.baselines import bpr_mf, counting
from mbref.data import sequences as sq, windows
from mbref.data.leave_one_out import Held, leave_one_out
from mbref.data.log import Log
from mbref.errors import InputError, without_interrupt
from mbref.nn import optim
from mbref.papers import hmar
from mbref.tables.recommend import best_items
from mbref.variants import hmar as variants

pytestmark = pytest.mark.trains
TINY = training.Settings(seed=3, steps=8, batch_size=4, rate=1e-2, evaluate_every=2, patience=0)
HMAR = hmar.Config(items=7, behaviours=2, width=4, length=5, dropout=0.3)
BPR = bpr_mf.Config(items=7, users=6, width=4, length=5)
MODELS = [(hmar, HMAR), (bpr_mf, BPR)]


def a_log(users=6, items=7, seed=0):
    """Cycles through the items, each viewed and then bought, from a random start."""
    starts = np.random.default_rng(seed).integers(items, size=users)
    item = np.concatenate([np.repeat((start + np.arange(4)) % items + 1, 2) for start in starts])
    user = np.repeat(np.arange(1, users + 1), 8)
    ids = [np.arange(n + 1).astype(str) for n in (users, items)]
    return Log(user, item, np.tile([2, 1], 4 * users), None, None, *ids, None, ("buy", "pv"), ())


SPLIT = leave_one_out(a_log(), "buy")


def fit(model, config, settings=TINY, **options):
    return training.fit(model, config, settings, SPLIT.train, progress=False, **options)


def checksum(params):
    """A number that depends on every parameter, in place of a validation."""
    return float(sum(np.sum(np.abs(a)) for _, a in optim.leaves(params)))


def same_arrays(a, b):
    """Two trees of arrays agree bit for bit."""
    one, other = ([(name, x.dtype, x.tobytes()) for name, x in optim.leaves(tree)] for tree in (a, b))
    return one == other


def same(a, b):
    """Two States agree bit for bit."""
    agree = [same_arrays(getattr(a, tree), getattr(b, tree)) for tree in training.TREES]
    return all(agree) and (a.step, a.validations) == (b.step, b.validations)


def stopping(model, at):
    """The model, but Ctrl-C comes in the middle of its `at`-th loss."""
    calls = count(1)

    def loss(*arguments):
        if next(calls) == at:
            raise KeyboardInterrupt
        return model.loss(*arguments)

    return SimpleNamespace(**{**vars(model), "loss": loss})


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Resuming.

@pytest.mark.parametrize("float32, threads", [(True, 1), (False, 1), (True, 3)])
@pytest.mark.parametrize("model, config", MODELS)
@pytest.mark.parametrize("first", [1, 4, 5])
def test_resuming_goes_on_as_if_never_stopped(tmp_path, model, config, float32, first, threads):
    settings, path = replace(TINY, float32=float32, threads=threads), tmp_path / "c.npz"
    never_stopped = fit(model, config, settings, validate=checksum)
    save = lambda state: training.save_checkpoint(path, state, config, settings)
    with pytest.raises(KeyboardInterrupt):
        fit(stopping(model, first * threads + 1), config, settings, validate=checksum, save=save)
    loaded = training.load_checkpoint(path, model, config, settings)
    assert loaded.step == first and len(loaded.validations) == first // 2
    assert same(fit(model, config, settings, validate=checksum, state=loaded), never_stopped)
    assert never_stopped.step == 8 and [h[0] for h in never_stopped.validations] == [2, 4, 6, 8]
    kinds = {a.dtype for part in training.TREES for _, a in optim.leaves(getattr(loaded, part))}
    assert kinds == {np.dtype(np.float32 if float32 else np.float64)}


def test_a_checkpoint_holds_the_state_bit_for_bit(tmp_path):
    state = fit(hmar, HMAR, validate=checksum)
    training.save_checkpoint(tmp_path / "c.npz", state, HMAR, TINY)
    assert same(training.load_checkpoint(tmp_path / "c.npz", hmar, HMAR, TINY), state)
    alone = training.load_checkpoint(tmp_path / "c.npz", hmar, HMAR, TINY, trees=("params",))
    assert same(alone, state._replace(moments={}, best={}))
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"]


def test_ctrl_c_in_a_validation_loses_no_record(tmp_path):
    path, calls = tmp_path / "c.npz", count(1)
    save = lambda state: training.save_checkpoint(path, state, HMAR, TINY)

    def validate(params):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return checksum(params)

    with pytest.raises(KeyboardInterrupt):
        fit(hmar, HMAR, validate=validate, save=save)
    resumed = fit(hmar, HMAR, validate=checksum, state=training.load_checkpoint(path, hmar, HMAR, TINY))
    assert same(resumed, fit(hmar, HMAR, validate=checksum))


def test_ctrl_c_while_saving_leaves_a_whole_checkpoint(tmp_path, monkeypatch):
    path, calls, savez = tmp_path / "c.npz", count(1), np.savez

    def interrupted(file, **arrays):
        savez(file, **arrays)
        if next(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    save = lambda state: training.save_checkpoint(path, state, HMAR, TINY)
    with pytest.raises(KeyboardInterrupt):
        fit(hmar, HMAR, validate=checksum, save=save)
    loaded = training.load_checkpoint(path, hmar, HMAR, TINY)
    assert loaded.step == 6
    assert same(fit(hmar, HMAR, validate=checksum, state=loaded), fit(hmar, HMAR, validate=checksum))


@pytest.mark.parametrize("step", [2, 4])
def test_a_killed_refit_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch, step):
    """After a kill there is what was saved last, and nothing else is saved."""
    whole = training.fit_twice(hmar, HMAR, replace(TINY, steps=4), SPLIT.train, SPLIT.refit, None, progress=False)
    save, killed = training.save_checkpoint, ChildProcessError()

    def die_after(path, state, *rest):
        save(path, state, *rest)
        if path.name == "final.npz" and state.step == step:
            raise killed

    with monkeypatch.context() as patch, pytest.raises(ChildProcessError):
        patch.setattr(training, "save_checkpoint", die_after)
        training.fit_twice(hmar, HMAR, replace(TINY, steps=4), SPLIT.train, SPLIT.refit, None, tmp_path, progress=False)
    first = count(1)
    counting = SimpleNamespace(**{**vars(hmar), "loss": lambda *a: next(first) and hmar.loss(*a)})
    again = training.fit_twice(counting, HMAR, replace(TINY, steps=4), SPLIT.train, SPLIT.refit, None, tmp_path,
                               progress=False)
    assert same(again[0], whole[0]) and same(again[1], whole[1]) and next(first) == 4 - step + 1
    assert same_arrays(training.load_final(tmp_path, hmar, HMAR, replace(TINY, steps=4)), whole[0].params)


@pytest.mark.parametrize("at", [1, 5, 9, 10])  # steps 1-8 search, then at least 2 train anew
def test_search_and_refit_stopped_anywhere(tmp_path, at):
    whole = training.search_and_refit(hmar, HMAR, TINY, SPLIT, progress=False)
    with pytest.raises(KeyboardInterrupt):
        training.search_and_refit(stopping(hmar, at), HMAR, TINY, SPLIT, folder=tmp_path, progress=False)
    with pytest.raises(InputError, match="not finished"):
        training.load_final(tmp_path, hmar, HMAR, TINY)
    resumed = training.search_and_refit(hmar, HMAR, TINY, SPLIT, folder=tmp_path, progress=False)
    assert same(resumed[0], whole[0]) and same(resumed[1], whole[1])
    assert same_arrays(training.load_final(tmp_path, hmar, HMAR, TINY), whole[0].params)
    assert sorted(files(tmp_path)) == ["final.npz", "search.npz"]


def test_another_seed_is_another_run():
    assert not same(fit(hmar, HMAR), fit(hmar, HMAR, replace(TINY, seed=4)))


def test_every_random_number_comes_from_where_the_module_says():
    tasks = [np.arange(8) + 10]
    for step, epoch, half in ((0, 0, slice(4)), (1, 0, slice(4, 8)), (2, 1, slice(4))):
        order = np.random.default_rng([3, 0, epoch]).permutation(8)
        assert training.rows_of_step(tasks, TINY, step)[1].tolist() == (order[half] + 10).tolist()
    seen = []

    def watch(function):
        return lambda *arguments: seen.append(arguments[-1].random()) or function(*arguments)

    spy = SimpleNamespace(**{**vars(bpr_mf), **{name: watch(getattr(bpr_mf, name)) for name in ("examples", "training_batch")}})
    fit(spy, BPR, replace(TINY, steps=2, threads=2))
    want = [[3, 2], [3, 1, 0], [3, 1, 0, 1], [3, 1, 1], [3, 1, 1, 1]]
    assert sorted(seen) == sorted(np.random.default_rng(seed).random() for seed in want)
    assert checksum(training.begin(bpr_mf, BPR, TINY).params) == pytest.approx(checksum(bpr_mf.init(np.random.default_rng(3), BPR)))


def test_shards_have_their_own_rows_and_draws(monkeypatch):
    seen = {}

    def batch(events, rows, config, rng):
        seen[rng.random()] = rows.tolist()
        return bpr_mf.training_batch(events, rows, config, rng)

    spy = SimpleNamespace(**{**vars(bpr_mf), "training_batch": batch})
    tasks = bpr_mf.examples(SPLIT.train, BPR, None)
    for threads, sizes in ((1, [4]), (3, [2, 1, 1]), (9, [1, 1, 1, 1])):
        seen.clear()
        fit(spy, BPR, replace(TINY, steps=1, threads=threads))
        draws = [np.random.default_rng([3, 1, 0, *part]).random() for part in ((), (1,), (2,), (3,))]
        rows = [seen[draw] for draw in draws[:len(sizes)]]
        assert list(map(len, rows)) == sizes and len(seen) == len(sizes)
        assert sum(rows, []) == training.rows_of_step(tasks, TINY, 0)[1].tolist()


def test_every_number_of_threads_is_a_run_of_its_own(tmp_path):
    two, three = (replace(TINY, threads=threads) for threads in (2, 3))
    state = fit(hmar, HMAR, two)
    assert same(state, fit(hmar, HMAR, two)) and not same(state, fit(hmar, HMAR, three))
    training.save_checkpoint(tmp_path / "c.npz", state, HMAR, two)
    with pytest.raises(InputError, match="other settings"):
        training.load_checkpoint(tmp_path / "c.npz", hmar, HMAR, three)


# Checkpoints that cannot be used, or not be written.

def damage(path, how):
    whole = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "array":
        with open(path, "wb") as file:
            np.save(file, np.ones(3))
    elif how in ("foreign", "number", "no step"):
        about = {"foreign": {}, "number": {"about": "3"}, "no step": {"about": json.dumps({"config": {}})}}[how]
        np.savez(path, **about)
    elif how == "flipped":
        with np.load(path) as z:
            at = whole.index(z["params/item"].tobytes())
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
    else:
        path.write_bytes({"empty": b"", "text": b"hello\n", "half": whole[: len(whole) // 2], "cut": whole[:-1]}[how])


@pytest.mark.parametrize("how", ["missing", "empty", "text", "half", "cut", "flipped", "array", "foreign", "number",
                                 "no step"])
def test_a_damaged_checkpoint(tmp_path, how):
    path = tmp_path / "search.npz"
    training.save_checkpoint(path, training.begin(hmar, HMAR, TINY), HMAR, TINY)
    damage(path, how)
    before = files(tmp_path)
    with pytest.raises(InputError, match="search.npz"):
        training.load_checkpoint(path, hmar, HMAR, TINY)
    if how != "missing":
        with pytest.raises(InputError, match="search.npz"):
            training.search_and_refit(hmar, HMAR, TINY, SPLIT, folder=tmp_path, progress=False)
    assert files(tmp_path) == before or how == "missing"


@pytest.mark.parametrize("config, settings", [
    (HMAR, replace(TINY, seed=1)), (HMAR, replace(TINY, steps=9)), (HMAR, replace(TINY, float32=False)),
    (replace(HMAR, width=8), TINY), (replace(HMAR, theta=0.2), TINY), (replace(HMAR, items=8), TINY)])
def test_a_checkpoint_of_another_run(tmp_path, config, settings):
    path = tmp_path / "search.npz"
    training.save_checkpoint(path, training.begin(hmar, HMAR, TINY), HMAR, TINY)
    before = files(tmp_path)
    with pytest.raises(InputError, match="search.npz.*other settings"):
        training.search_and_refit(hmar, config, settings, SPLIT, folder=tmp_path, progress=False)
    assert files(tmp_path) == before


def test_arrays_of_another_shape_or_kind():
    tree = {"a": np.zeros((2, 3), np.float32)}
    for wrong in (np.zeros((3, 2), np.float32), np.zeros((2, 3))):
        with pytest.raises(ValueError, match="shape"):
            training.optim.fill(tree, {"params/a": wrong}, "params")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_checkpoint(tmp_path, monkeypatch, error):
    path, state = tmp_path / "c.npz", training.begin(hmar, HMAR, TINY)
    training.save_checkpoint(path, state, HMAR, TINY)
    before = files(tmp_path)

    def half(file, **arrays):
        file.write(b"PK\3\4 half of a file")
        raise error

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(InputError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
        training.save_checkpoint(path, state._replace(step=5), HMAR, TINY)
    assert files(tmp_path) == before  # and no half-written file beside it
    if isinstance(error, OSError):
        assert "c.npz (No space left on device)" in str(caught.value)


def test_a_full_disk(tmp_path):
    path = tmp_path / "c.npz"
    (tmp_path / f"c.npz.{os.getpid()}.mbref.part").symlink_to("/dev/full")
    with pytest.raises(InputError, match="c.npz"):
        training.save_checkpoint(path, training.begin(hmar, HMAR, TINY), HMAR, TINY)
    assert not path.exists()


def test_a_folder_that_does_not_exist_or_is_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in ("none", "file"):
        with pytest.raises(InputError, match="cannot write .*c.npz"):
            training.save_checkpoint(tmp_path / folder / "c.npz", training.begin(bpr_mf, BPR, TINY), BPR, TINY)
    assert files(tmp_path) == {"file": b"mine"}


# How long, and what is kept.

def scripted(metrics):
    """A validation that gives these numbers in turn."""
    given = iter(metrics)
    return lambda params: next(given)


@pytest.mark.parametrize("patience, metrics, validations, best", [
    (3, [0.1, 0.3, 0.2, 0.3, 0.25, 0.9], 5, 2),   # a tie is no improvement
    (1, [0.3, 0.2, 0.9], 2, 1),
    (2, [0.1, 0.2, 0.1, 0.3, 0.2, 0.2, 0.9], 6, 4),
    (0, [0.5, 0.1, 0.1, 0.1], 4, 1),              # never stop early
    (5, [0.5, 0.1, 0.2], 3, 1),                   # the steps are over first
])
def test_early_stopping(patience, metrics, validations, best):
    steps = 2 * (validations if patience in (0, 5) else 10)
    settings = replace(TINY, patience=patience, steps=steps)
    state = fit(bpr_mf, BPR, settings, validate=scripted(metrics))
    assert state.step == 2 * validations
    assert [(step, m) for step, _, m in state.validations] == list(zip(count(2, 2), metrics[:validations], strict=False))
    assert training.best_step(state) == 2 * best
    kept = fit(bpr_mf, BPR, replace(settings, steps=2 * best))
    assert same(state._replace(params=state.best, moments={}), kept._replace(step=state.step, moments={},
                                                                           validations=state.validations))
    again = fit(bpr_mf, BPR, settings, validate=scripted([]), state=state)
    assert same(again, state)  # a run that is over stays over


def test_the_last_step_is_validated_too():
    state = fit(bpr_mf, BPR, replace(TINY, steps=5), validate=checksum)
    assert [h[0] for h in state.validations] == [2, 4, 5]


def test_the_bar_shows_the_newest_loss_and_the_best_validation(capsys):
    numbers = iter([0.2, 0.7, 0.5, 0.6])
    state = training.fit(bpr_mf, BPR, TINY, SPLIT.train, lambda params: next(numbers))
    last = capsys.readouterr().err.split("\r")[-1]
    assert "8/8" in last and f"loss={state.validations[-1][1]:.4f}" in last and "best=0.7000" in last
    training.fit(bpr_mf, BPR, TINY, SPLIT.train)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "8/8" in last and "loss=" in last and "best" not in last  # nothing was validated


def test_without_validation_all_steps_are_used_and_the_last_parameters_kept():
    saved = []
    state = fit(bpr_mf, BPR, save=saved.append)
    assert state.step == 8 == training.best_step(state) and state.validations == ()
    assert same(state._replace(best=state.params), state) and same(saved[-1], state)
    assert [one.step for one in saved] == [2, 4, 6, 8]  # a kill costs what was done since
    nobody = SPLIT._replace(validation=leave_one_out(a_log(), "buy", min_events=99).validation)
    final, search = training.search_and_refit(bpr_mf, BPR, TINY, nobody, progress=False)
    assert (search.step, search.validations, final.step) == (8, (), 8)


def test_the_refit_takes_the_best_number_of_steps_on_all_before_the_test_events():
    # Adam moves w by .1 a step, from 0 towards 1; the score finds item 3 only while w is near .4.
    toy = SimpleNamespace(
        init=lambda rng, config: {"w": np.zeros(1)}, examples=hmar.examples,
        training_batch=lambda events, rows, config, rng: len(events.item),
        ranking_batch=lambda events, cases, config: len(cases),
        loss=lambda params, size, config, rng: anp.sum((params["w"] - 1.0) ** 2) + 0 * size,
        score_all=lambda params, cases, config: np.tile(
            (np.arange(7) == 2) * float(abs(params["w"][0] - 0.4) < 0.05), (cases, 1)))
    split = SPLIT._replace(validation=SPLIT.validation._replace(item=np.full(len(SPLIT.validation.item), 3)))
    settings = replace(TINY, rate=0.1, float32=False)
    final, search = training.search_and_refit(toy, HMAR, settings, split, progress=False)
    assert [h[0] for h in search.validations if h[2] == 1] == [4] and search.step == 8
    assert search.best["w"] == pytest.approx(0.4, abs=0.02) and search.params["w"] == pytest.approx(0.8, abs=0.1)
    assert final.step == 4 and final.params["w"] == pytest.approx(0.4, abs=0.02)


def test_the_refit_reads_the_refit_lists():
    final, search = training.search_and_refit(hmar, HMAR, TINY, SPLIT, progress=False)
    steps = replace(TINY, steps=final.step)
    anew = training.fit(hmar, HMAR, steps, SPLIT.refit, progress=False)
    assert final.step == max(search.validations, key=lambda h: h[2])[0]
    assert same(final, anew) and not same(final, fit(hmar, HMAR, steps))


@pytest.mark.parametrize("model, config", MODELS)
def test_training_learns(model, config):
    config = replace(config, **({"dropout": 0.0} if model is hmar else {"penalty": 0.0}))
    settings = replace(TINY, steps=80, batch_size=64, rate=0.05)
    batch = model.training_batch(SPLIT.train, windows.windows(SPLIT.train, 5), config, np.random.default_rng(9))
    before = model.loss(training.begin(model, config, settings).params, batch, config)
    after = model.loss(fit(model, config, settings).params, batch, config)
    assert after < 0.5 * before


def test_every_step_draws_anew_and_no_step_depends_on_an_earlier_one():
    drawn, resumed = [], []
    for numbers, state in ((drawn, None), (resumed, training.begin(bpr_mf, BPR, TINY)._replace(step=5))):
        def batch(events, rows, config, rng, numbers=numbers):
            numbers.append(rng.random())
            return bpr_mf.training_batch(events, rows, config, rng)

        spy = SimpleNamespace(init=bpr_mf.init, loss=bpr_mf.loss, training_batch=batch, examples=bpr_mf.examples)
        fit(spy, BPR, state=state)
    assert len(set(drawn)) == 8 and resumed == drawn[5:]


def test_an_epoch_shows_every_window_once():
    seen, cuts = [], windows.windows(SPLIT.train, 2)
    spy = SimpleNamespace(init=lambda rng, config: {"w": np.zeros(1)}, loss=lambda p, b, c, r: anp.sum(p["w"] ** 2),
                          examples=variants.examples,
                          training_batch=lambda events, rows, config, rng: seen.append(rows.tolist()))
    n = len(cuts) // 4
    config = variants.Config(items=7, behaviours=2, length=2)
    fit(spy, config, replace(TINY, steps=2 * n))
    epochs = [sorted(sum(seen[:n], [])), sorted(sum(seen[n:], []))]
    assert len(cuts) == 4 * n and epochs[0] == epochs[1] == sorted(cuts.tolist()) and seen[:n] != seen[n:]
    seen.clear()
    fit(spy, replace(config, newest_only=True), replace(TINY, steps=2, batch_size=99))
    newest = sorted(c.tolist() for c in windows.windows(SPLIT.train, 2, newest_only=True))
    assert [sorted(rows) for rows in seen] == [newest, newest]  # fewer windows than a batch: all of them


def test_a_loss_that_is_not_finite():
    for value in (np.nan, np.inf):
        bad = SimpleNamespace(init=hmar.init, training_batch=hmar.training_batch, examples=hmar.examples,
                              loss=lambda p, b, c, r, value=value: anp.sum(p["item"]) * value)
        with pytest.raises(InputError, match="at step 1.*smaller rate than 0.01"):
            fit(bad, HMAR)


def test_scores_that_are_refused_in_training_name_the_rate():
    def validate(params):
        raise InputError("scores must be finite; mend the model.")
    with pytest.raises(training.Diverged, match="step 2 .*scores must be finite.*: choose a smaller rate than 0.01"):
        fit(hmar, HMAR, replace(TINY, evaluate_every=2), validate=validate)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rate", [1e30, 1e40])
def test_a_rate_far_too_large_gives_one_error_and_no_warnings(rate):
    with pytest.raises(InputError, match="smaller rate|finite"):
        fit(hmar, HMAR, replace(TINY, rate=rate, evaluate_every=4), validate=checksum)


def test_nothing_to_train_on():
    log = a_log(users=1)
    log = log._replace(user=log.user[:3], item=log.item[:3], behaviour=np.array([2, 1, 1]))
    split = leave_one_out(log, "buy")
    with pytest.raises(InputError, match="nothing to train on"):
        training.fit(hmar, HMAR, TINY, split.train, progress=False)


def test_one_of_several_tasks_has_nothing_to_train_on(monkeypatch):
    rows = np.arange(3)
    for tasks in ([rows, rows[:0]], [rows[:0], rows]):
        monkeypatch.setattr(hmar, "examples", lambda events, config, rng, tasks=tasks: tasks)
        with pytest.raises(InputError, match="nothing to train on"):
            training.fit(hmar, HMAR, TINY, None, progress=False)


@pytest.mark.parametrize("name, value", [
    ("steps", 0), ("batch_size", 0), ("evaluate_every", -1), ("rate", 0.0), ("rate", float("nan")),
    ("rate", float("inf")), ("clip", 0.0), ("clip", float("nan")), ("beta2", 1.0), ("beta2", -0.1),
    ("beta2", float("nan")), ("seed", -1), ("threads", 0)])
def test_settings_that_make_no_sense(name, value):
    with pytest.raises(InputError, match=name):
        training.Settings(**{name: value})


def test_settings_at_their_bounds():
    assert training.Settings(beta2=0.0, seed=0, drop_step=0, patience=0, steps=1, batch_size=1, threads=1).beta2 == 0


# Evaluation. Histories of 3 cases over 5 items; the held-out items are 2, 4, 1, and the last was met before.

HISTORY = sq.from_rows(np.array([1, 1, 2, 3, 3]), np.array([1, 3, 5, 1, 2]), np.ones(5, int), 1)
HELD = Held(HISTORY, np.array([2, 4, 1]), np.array([False, False, True]))


def fixed(rows):
    """A scorer that gives case i the scores rows[i]."""
    return lambda history, cases: np.array(rows, float)[cases]


SCORES = [[9, 5, 8, 5, 1],   # item 2: two greater, one tie
          [0, 0, 0, 1, 0],   # item 4: first
          [3, 4, 2, 3, 3]]   # item 1: one greater, two ties


def test_places_by_hand():
    negatives = np.array([[1, 4, 0], [5, 0, 0], [2, 4, 5]])
    full, sampled = evaluation.count_rivals(fixed(SCORES), HELD, 5, negatives=(negatives,))
    assert (full.greater.tolist(), full.ties.tolist()) == ([2, 0, 1], [1, 0, 2])
    assert (sampled.greater.tolist(), sampled.ties.tolist()) == ([1, 0, 1], [1, 0, 2])
    small = evaluation.count_rivals(fixed(SCORES), HELD, 5, negatives=(negatives,), batch_size=2)
    assert [tuple(map(list, part)) for part in small] == [tuple(map(list, part)) for part in (full, sampled)]


def test_unseen_candidates_leave_out_the_history_and_make_a_met_target_a_miss():
    assert evaluation.unseen(HISTORY, np.array([2, 0]), 5).tolist() == [[False, False, True, True, True],
                                                                        [False, True, False, True, True]]
    full, = evaluation.count_rivals(fixed(SCORES), HELD, 5, "unseen")
    assert full.greater[:2].tolist() == [0, 0] and full.ties[:2].tolist() == [1, 0]
    assert [evaluation.summary(full, [i], k=99)["HR@99"] for i in range(3)] == [1, 1, 0]


def test_summary_by_hand():
    found = evaluation.Rivals(np.array([0, 1, 2, 10]), np.array([0, 0, 1, 0]))
    got = evaluation.summary(found, k=3)
    assert got == pytest.approx({"HR@3": (1 + 1 + 0.5) / 4, "NDCG@3": (1 + 1 / np.log2(3) + 0.5 / 2) / 4,
                                 "MRR@3": (1 + 1 / 2 + 0.5 / 3) / 4})  # the tied target is third or fourth
    assert np.isnan(evaluation.summary(found, np.zeros(4, bool))["HR@10"])


def test_a_scorer_that_knows_the_answer_and_one_that_knows_nothing():
    negatives = {"3 neg.": 2 * [np.array([[4, 5, 0], [1, 2, 3], [3, 4, 5]])]}
    perfect = evaluation.report(fixed(np.eye(5)[HELD.item - 1]), HELD, 5, negatives=negatives)
    assert len(perfect) == 2 * 9 + 1 and perfect.pop("ties") == 0 and set(perfect.values()) == {1.0}
    chance = evaluation.report(fixed(np.zeros((3, 5))), HELD, 5, negatives=negatives, k=2)
    assert chance["HR@2"] == pytest.approx(2 / 5) and chance["MRR@2"] == pytest.approx((1 + 1 / 2) / 5)
    assert chance["HR@2 (3 neg.)"] == pytest.approx((2 / 3 + 2 / 4 + 2 / 4) / 3)
    assert chance["HR@2 seen (3 neg.)"] == pytest.approx(2 / 4) and chance["ties"] == 1


def test_report_by_hand():
    one, other = np.array([[1], [2], [2]]), np.array([[5], [5], [3]])
    negatives = {"two sets": [one, other], "one set": [other]}
    row = evaluation.report(fixed(SCORES), HELD, 5, negatives=negatives, k=1)
    assert row["HR@1"] == pytest.approx(1 / 3) and row["HR@1 new"] == pytest.approx(1 / 2) and row["HR@1 seen"] == 0
    assert row["HR@1 (two sets)"] == pytest.approx((1 / 3 + 1) / 2)  # the mean over the two sets
    assert row["HR@1 (one set)"] == pytest.approx(1)
    assert row["ties"] == pytest.approx(2 / 3)
    nobody = evaluation.report(fixed(SCORES), HELD._replace(seen=np.zeros(3, bool)), 5)
    assert np.isnan(nobody["HR@10 seen"]) and nobody["HR@10"] == nobody["HR@10 new"]


def test_negatives_of_cases():
    held = HELD._replace(item=np.array([2, 4, 2]))
    drawn = evaluation.negatives_of_cases(held, 5, seed=0, count=3)
    for row, free in zip(drawn.tolist(), [{4, 5}, {1, 2, 3}, {3, 4, 5}], strict=True):
        assert {i for i in row if i} == free and len([i for i in row if i]) == len(free)  # all there is, each once
    wide = evaluation.negatives_of_cases(held, 400, seed=1)
    assert wide.shape == (3, 99) and all(len(set(row)) == 99 for row in wide.tolist()) and wide.min() > 0
    assert not any(set(row) & {1, 2, 3} for row in wide[[0]].tolist()) and not set(wide[1].tolist()) & {4, 5}
    assert (wide == evaluation.negatives_of_cases(held, 400, seed=1)).all()
    assert (wide != evaluation.negatives_of_cases(held, 400, seed=2)).any()


@pytest.mark.parametrize("model, config", MODELS)
def test_scorer_ranks_every_case_from_its_own_history(model, config):
    params = training.begin(model, config, TINY).params
    score, history = evaluation.item_scorer(model, params, config), SPLIT.test.history
    together = score(history, np.arange(6))
    assert together.shape == (6, 7)
    for case in range(6):
        rows = slice(history.ptr[case], history.ptr[case + 1])
        alone = sq.from_rows(np.full(7, case + 1), history.item[rows], history.behaviour[rows], 2)
        np.testing.assert_allclose(score(alone, np.array([0]))[0], together[case], rtol=1e-5, atol=1e-6)


# Baselines that count. Two users: 1 2 1 3 and 2 2 3.

SEEN = sq.from_rows(np.array([1] * 4 + [2] * 3), np.array([1, 2, 1, 3, 2, 2, 3]), np.ones(7, int), 1)
BOTH = np.array([0, 1])


def test_counting_by_hand():
    assert counting.popularity(SEEN, 4)(SEEN, BOTH).tolist() == [[2, 3, 2, 0]] * 2
    assert counting.popularity_users(SEEN, 4)(SEEN, BOTH).tolist() == [[1, 2, 2, 0]] * 2
    assert counting.repeats(SEEN, 4)(SEEN, BOTH).tolist() == [[2, 1, 1, 0], [0, 2, 1, 0]]
    assert counting.repeats(SEEN, 4)(SEEN, BOTH[:0]).shape == (0, 4)
    # Neighbours of 3: 1 once, 2 once. Within 2 events: 1, 2, and 2 twice.
    assert counting.co_occurrence(SEEN, 4, 1, reach=1)(SEEN, BOTH).tolist() == [[1, 1, 0, 0]] * 2
    assert counting.co_occurrence(SEEN, 4, 1, reach=2)(SEEN, BOTH).tolist() == [[1, 3, 0, 0]] * 2
    # The newest two of user 1 are 1 and 3; neighbours of 1: 2 twice, 3 once.
    assert counting.co_occurrence(SEEN, 4, 2, reach=1)(SEEN, BOTH[:1]).tolist() == [[1, 3, 1, 0]]
    assert counting.newest(SEEN, 1).tolist() == [2, 2, 3] and counting.newest(SEEN, 0, 2).tolist() == [1, 3]


@pytest.mark.parametrize("last, reach", [(1, 1), (3, 2), (10, 5), (2, 30)])
def test_co_occurrence_against_a_loop(last, reach):
    rng = np.random.default_rng(last)
    user, item = np.sort(rng.integers(1, 5, 40)), rng.integers(1, 7, 40)
    events = sq.from_rows(user, item, np.ones(40, int), 1)
    got = counting.co_occurrence(events, 8, last, reach)(events, np.arange(4))
    for u in range(1, 5):
        want = np.zeros(8)
        for recent in item[user == u][-last:]:
            for p in range(40):
                for q in range(40):
                    if p != q and user[p] == user[q] and abs(p - q) <= reach and item[p] == recent:
                        want[item[q] - 1] += 1
        assert got[u - 1].tolist() == want.tolist()


def test_plain_baselines_of_a_table():
    scorers = counting.plain(SEEN, 4)
    assert len(scorers) == 6 and all(score(SEEN, BOTH).shape == (2, 4) for score in scorers.values())
    assert scorers["co-occurrence, last item"](SEEN, BOTH[:1]).tolist() == [[2, 3, 0, 0]]
    # Within 5 events: 1 beside 1, 2, 3 twice each; 2 beside 1 and 2 twice, 3 three times.
    assert scorers["co-occurrence, last 10"](SEEN, BOTH[:1]).tolist() == [[8, 9, 7, 0]]


# BPR-MF.

def bpr_batch(seed=0):
    params = bpr_mf.init(np.random.default_rng(seed), BPR)
    params = {name: a + np.random.default_rng(1).normal(0, 0.5, a.shape) for name, a in params.items()}
    return params, bpr_mf.training_batch(SPLIT.train, windows.windows(SPLIT.train, 5), BPR, np.random.default_rng(2))


def test_bpr_scores_of_given_candidates_and_of_all():
    params, _ = bpr_batch()
    batch = bpr_mf.ranking_batch(SPLIT.test.history, np.arange(6), BPR)
    whole = bpr_mf.score_all(params, batch, BPR)
    given = np.random.default_rng(0).integers(1, 8, (6, 4))
    want = np.take_along_axis(whole, given - 1, 1)
    np.testing.assert_allclose(bpr_mf.score(params, batch, given, BPR), want, rtol=1e-12)
    u = SPLIT.test.history.user[2]
    by_hand = sum(params["user"][u, d] * params["item"][5, d] for d in range(4)) + params["bias"][5, 0]
    assert whole[2, 4] == pytest.approx(by_hand, rel=1e-12)


def test_bpr_loss_against_a_loop():
    params, batch = bpr_batch()
    terms = []
    for b, t in np.ndindex(batch.item.shape):
        i, j = batch.next.item[b, t], batch.next.negative[b, t]
        if i:
            p, q, r = params["user"][batch.user[b]], params["item"][i], params["item"][j]
            gap = p @ q + params["bias"][i, 0] - p @ r - params["bias"][j, 0]
            terms.append(-np.log(1 / (1 + np.exp(-gap))) + BPR.penalty * (p @ p + q @ q + r @ r))
    assert len(terms) == 6 * 4  # 5 of each user's 8 events precede the validation event
    assert bpr_mf.loss(params, batch, BPR) == pytest.approx(np.mean(terms), rel=1e-12)


def test_bpr_gradients():
    params, batch = bpr_batch()
    check_grads(lambda params: bpr_mf.loss(params, batch, BPR), modes=["rev"], order=1)(params)


def test_bpr_refuses_sizes_that_make_no_sense():
    for name in ("width", "length"):
        with pytest.raises(InputError, match=f"{name} is 0: it must be at least 1"):
            bpr_mf.Config(7, 6, **{name: 0})


def test_ctrl_c_in_a_step_waits_for_its_end():
    done = []
    with pytest.raises(KeyboardInterrupt), without_interrupt():
        signal.raise_signal(signal.SIGINT)
        done.append("all of it")
    assert done == ["all of it"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyError), without_interrupt():  # an error of the block's own goes first
        signal.raise_signal(signal.SIGINT)
        raise KeyError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_does_as_ctrl_c_waits_as_well(number):
    done, before = [], signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), without_interrupt():
            signal.raise_signal(number)
            done.append("all of it")
        assert done == ["all of it"] and signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_a_part_of_the_validation_events_is_drawn_once():
    items = []

    class Model:
        ranking_batch = staticmethod(lambda history, cases, config: cases)
        score_all = staticmethod(lambda params, batch, config: items.append(len(batch)) or np.eye(7)[batch % 7])

    validate = evaluation.validation(Model, None, SPLIT, count=3)
    first = validate({"a": np.zeros(1)})
    assert validate({"a": np.zeros(1)}) == first and items == [3, 3]
    evaluation.validation(Model, None, SPLIT)({"a": np.zeros(1)})
    assert items[2:] == [6]
    evaluation.validation(Model, None, SPLIT, count=99)({"a": np.zeros(1)})
    assert items[3:] == [6]
    some = fit(bpr_mf, BPR, replace(TINY, validation_cases=3))
    assert same(some, fit(bpr_mf, BPR))  # nothing else hangs on it
    searched = training.search_and_refit(bpr_mf, BPR, replace(TINY, validation_cases=2), SPLIT, progress=False)[1]
    by_two = evaluation.validation(bpr_mf, BPR, SPLIT, count=2)
    assert searched.validations[-1][2] == by_two(searched.params)


def test_a_checkpoint_older_than_a_setting_is_read(tmp_path, monkeypatch):
    path, state, asdict = tmp_path / "c.npz", training.begin(bpr_mf, BPR, TINY), training.asdict
    with monkeypatch.context() as patch:
        patch.setattr(training, "asdict", lambda x: {k: v for k, v in asdict(x).items() if k != "validation_cases"})
        training.save_checkpoint(path, state, BPR, TINY)
    assert same(training.load_checkpoint(path, bpr_mf, BPR, TINY), state)
    with pytest.raises(InputError, match="other settings"):
        training.load_checkpoint(path, bpr_mf, BPR, replace(TINY, validation_cases=2))


def test_large_catalogues_are_ranked_a_few_cases_at_a_time():
    sizes = []

    def score(history, cases):
        sizes.append(len(cases))
        return np.zeros((len(cases), 2_000_000), np.float32)

    held = SPLIT.test
    evaluation.count_rivals(score, held, 2_000_000)
    assert sizes == [2, 2, 2]


@pytest.mark.parametrize("items, cases", [(10, 64), (62_500, 64), (62_501, 63), (2_000_000, 2), (2_000_001, 1), (9_000_000, 1)])
def test_cases_at_once_by_hand(items, cases):
    assert evaluation.cases_at_once(items) == cases


@pytest.mark.parametrize("drop, step, rate", [
    (0, 99, 0.5), (3, 2, 0.5), (3, 3, 0.05), (3, 4, 0.05), (1, 0, 0.5), (1, 1, 0.05)])
def test_the_rate_drops_to_a_tenth(drop, step, rate):
    for optimiser in ("sgd", "adam"):
        settings = training.Settings(optimiser=optimiser, rate=0.5, clip=3.0, drop_step=drop, beta2=0.9)
        rule = training.rule(settings, step)
        assert rule.rate == pytest.approx(rate) and rule.clip == 3.0 and getattr(rule, "beta2", 0.9) == 0.9
    assert training.rule(replace(settings, rates=(2.0, 4.0)), step, task=1).rate == pytest.approx(8 * rate)


@pytest.mark.parametrize("k, left_out, want", [(2, (), [3, 2]), (3, (), [3, 2, 4]), (3, (3,), [2, 4, 1]), (9, (2, 3), [4, 1, 5]),
                                               (2, (1, 2, 3, 4, 5), [])])
def test_the_best_items_by_hand(k, left_out, want):
    scores = np.array([0.5, 1.0, 2.0, 1.0, 0.5])
    assert best_items(scores, k, left_out).tolist() == want and scores.tolist() == [0.5, 1.0, 2.0, 1.0, 0.5]
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputError, match="the scores of this run are not finite, so its parameters are damaged"):
            best_items(np.append(scores, bad), k, left_out)
