"""`hmar_released`: the release's graph on mbref's own splits, as a model and from the command line.
"""
from dataclasses import replace

import numpy as np
import pytest
from autograd import value_and_grad

from mbref import evaluation, protocol, runs
from mbref.__main__ import main
from mbref.data import sequences
from mbref.data.leave_one_out import leave_one_out
from mbref.data.log import Log
from mbref.errors import InputError
from mbref.nn import optim
from mbref.released.hmar import data, model, trainable

K, N = 4, 12
BASE = trainable.Config(items=N, behaviours=K, width=4, length=3, heads=2, dropout=0.0)
NAMES = ("user", "item", "behaviour")


def events(rng=None):
    """Five users with 1 to 8 events."""
    rng = rng or np.random.default_rng(0)
    user = np.repeat(np.arange(1, 6), [8, 1, 5, 3, 2])
    item, behaviour = rng.integers(1, N + 1, len(user)), rng.integers(1, K + 1, len(user))
    return sequences.from_rows(user, item, behaviour, K)


def draw(config):
    rng = np.random.default_rng(1)
    first = trainable.init(np.random.default_rng(0), config)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.3, a.shape), first)


def variants(name):
    """A small Config of a model file, for as many behaviours as it has."""
    return replace(BASE, variant=name, behaviours=len(model.VARIANTS[name].weights))


def test_it_is_a_model():
    assert set(protocol.REQUIRED) <= set(vars(trainable))
    assert runs.MODELS["hmar_released"] is trainable


def test_windows_counts_and_labels_are_the_releases():
    rows, = trainable.examples(events(), BASE, None)
    assert rows.tolist() == [0, 2, 3, 4]  # one event is nothing to predict
    batch = trainable.training_batch(events(), rows, BASE, np.random.default_rng(0))
    made, last = events(), events().ptr[1] - 1
    assert batch.item[0].tolist() == made.item[last - 3 : last].tolist()
    assert batch.next.item[0].tolist() == made.item[last - 2 : last + 1].tolist()
    backwards = slice(last - 1, last - 4, -1)  # indicators and labels against the order of time
    np.testing.assert_array_equal(batch.counts[0], made.counts[backwards])
    assert batch.next.label[0].tolist() == (made.behaviour[last : last - 3 : -1] - 1).tolist()
    weights = np.array([0, 0.7, 0.1, 0.1, 0.1])[made.behaviour]
    assert batch.next.weight[0].tolist() == weights[last - 2 : last + 1].tolist()
    ahead = trainable.training_batch(
        events(), rows, replace(BASE, reverse_context=False), np.random.default_rng(0))
    np.testing.assert_array_equal(ahead.counts[0], made.counts[last - 3 : last])


@pytest.mark.parametrize("name", model.VARIANTS)
def test_loss_and_scores_are_those_of_the_graph(name):
    config = variants(name)
    own = model.Config(**vars(config))
    made = events()
    made = made._replace(behaviour=np.minimum(made.behaviour, config.behaviours))
    made = sequences.from_rows(np.repeat(made.user, np.diff(made.ptr)), made.item, made.behaviour,
                               config.behaviours)
    params, rows = draw(config), trainable.examples(made, config, None)[0]
    assert data.list_weights(own) == list(model.VARIANTS[name].weights)
    batch = trainable.training_batch(made, rows, config, np.random.default_rng(0))
    assert trainable.loss(params, batch, config) == model.loss(params, batch, own)
    nobody = np.zeros((5, config.behaviours))
    split = data.Partition(made, np.zeros(5, int), nobody)
    asked = trainable.ranking_batch(made, np.arange(5), config)
    every = trainable.score_all(params, asked, config)
    want = model.score_all(params, model.ranking_batch(split, np.arange(5), own), own)
    np.testing.assert_array_equal(every, want)
    few = np.array([[1, 4], [2, 12], [7, 7], [3, 9], [5, 1]])
    np.testing.assert_allclose(trainable.score(params, asked, few, config),
                               np.take_along_axis(every, few - 1, axis=1), rtol=0, atol=1e-12)


def test_the_largest_weight_goes_to_the_target():
    assert data.list_weights(replace(BASE, target=3)) == [0.1, 0.1, 0.7, 0.1]
    yelp = replace(BASE, variant="yelp", target=4)
    assert data.list_weights(yelp) == [0.3, 0.2, 0.2, 0.3] and yelp.file.merge == "bypass"


def test_no_held_out_event_changes_a_score():
    """Another held-out item, and events after it: the release's counts would hold them."""
    def scores(*after):
        items = np.array([1, 2, 1, 3, *after])
        behaviour = np.array([4, 1, 2, 4, 1, 4][: len(items)])
        names = [np.arange(2).astype(str), np.arange(N + 1).astype(str)]
        log = Log(np.ones(len(items), int), items, behaviour, None, None, *names, None,
                  ("buy", "cart", "fav", "pv"), ())
        kind = protocol.optional(trainable, "history_counts")(BASE)
        held = leave_one_out(log, "buy", counts=kind).test
        assert held.item.tolist() == [after[0]]
        score = evaluation.item_scorer(trainable, draw(BASE), BASE)
        return score(held.history, np.array([0]))

    want = scores(5)
    for after in ((1,), (5, 1)):
        np.testing.assert_array_equal(scores(*after), want)


def test_training_stays_float32():
    config = replace(BASE, dropout=0.3, variant="tianchi")
    params = optim.tree_map(lambda a: a.astype(np.float32), draw(config))
    rows, = trainable.examples(events(), config, None)
    rng = np.random.default_rng(0)
    batch = trainable.training_batch(events(), rows, config, rng)
    loss, grads = value_and_grad(trainable.loss)(params, batch, config, rng)
    assert np.isfinite(loss)
    assert {a.dtype for _, a in optim.leaves(grads)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("wrong, message", [
    (dict(behaviours=3), "variant taobao is for 4 behaviours and the log has 3: choose movielens."),
    (dict(variant="movielens"),
     "variant movielens is for 3 behaviours and the log has 4: choose tianchi or taobao or yelp."),
    (dict(behaviours=2), "the log has 2: train hmar, for any number of them."),
    (dict(variant="amazon"), "variant is 'amazon': choose one of tianchi, taobao"),
    (dict(heads=3), "must be a multiple of heads, 3"), (dict(dropout=1.0), "less than 1"),
    (dict(target=5), "must fit"), (dict(mask_mode="none"), "mask_mode is 'none'"),
    (dict(candidate_counts="release"), "candidate_counts is 'release': choose one of target")])
def test_config_refuses(wrong, message):
    with pytest.raises(InputError, match=message):
        trainable.Config(**{"items": 5, "behaviours": 4, **wrong})


def write_log(path):
    """Twelve users of a shop who look at two items, and buy the second."""
    lines = [f"{user},{user % 6 + n},7,{kind},{1511600000 + 100 * user + n}"
             for user in range(1, 13)
             for n, kind in enumerate(("pv", "cart", "buy", "pv", "fav", "buy", "pv"))]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.trains
def test_train_evaluate_recommend(tmp_path, capsys):
    log, run = write_log(tmp_path / "log.csv"), tmp_path / "run"
    sizes = [text for name in ("width=4", "length=5", "variant=yelp", "evaluate_every=3")
             for text in ("--set", name)]
    task = ["--data", str(log), "--format", "taobao", "--target", "buy"]
    assert main(["train", "hmar_released", "--out", str(run), *task, "--steps", "6", *sizes]) == 0
    net, _, config, *_ = runs.open_run(run)
    assert net is trainable and (config.variant, config.target, config.width) == ("yelp", 1, 4)
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    assert "this run" in capsys.readouterr().out
    assert main(["recommend", str(run), "--user", "3", "-k", "4"]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 4


def test_the_command_line_names_what_does_not_fit(tmp_path, capsys):
    log = write_log(tmp_path / "log.csv")
    task = ["--data", str(log), "--format", "taobao", "--target", "buy"]
    code = main(["train", "hmar_released", "--out", str(tmp_path / "run"), *task,
                 "--set", "variant=movielens"])
    assert code == 2 and not (tmp_path / "run").exists()
    assert "variant movielens is for 3 behaviours and the log has 4" in capsys.readouterr().err
