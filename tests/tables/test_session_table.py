"""HierSRec's table: figures of candidates by hand and by definition, K, cold items, rows, runs."""
import json
from dataclasses import replace

import numpy as np
import pytest

from mbref import evaluation, metrics, runs, training
from mbref.__main__ import main
from mbref.baselines import sasrec
from mbref.candidates import choose
from mbref.data.leave_one_out import Held
from mbref.data.sequences import from_rows
from mbref.errors import InputError
from mbref.papers import hiersrec as paper
from mbref.tables import reproduce, rows as table_rows, sessions
from mbref.data.shipped import tiny_data
from mbref.tables.recommend import recommend
from mbref.variants import hiersrec as variants

pytestmark = pytest.mark.trains
VIEWS = str(tiny_data() / "diginetica/train-item-views.csv")
TASK = runs.Task(VIEWS, "diginetica", "view", split="session-rec")
SMALL = ("width=4", "length=5", "item_width=4", "category_width=2", "projection_width=2",
         "batch_size=8")
SET_SMALL = [part for text in SMALL for part in ("--set", text)]
FEW = ("--steps", "2", "--set", "evaluate_every=2", *SET_SMALL, "--seeds", "1", "--jobs", "1")
FROM_VIEWS = ("--data", VIEWS, "--format", "diginetica", "--target", "view", "--split-by",
              "session-rec")


SHOWN = ["MRR@20 at 10%", "Recall@20 at 10%", "coverage at 10%", "share at 10%"]


@pytest.fixture(scope="module")
def problem():
    return sessions.open_problem(TASK)


def held_of(items, clicks=1):
    """A case for each of the items, each after `clicks` clicks on item 1."""
    user = np.repeat(np.arange(1, len(items) + 1), clicks)
    history = from_rows(user, np.ones(len(user), int), np.ones(len(user), int), 1)
    return Held(history, np.array(items), np.zeros(len(items), bool))


def scorer_of(scores, logp):
    """These scores [S, N] and log p [S, C] as a two-head scorer."""
    return lambda history, cases: (scores[cases], logp[cases])


def test_places_by_hand():
    category = np.array([0, 1, 1, 2, 2, 2])  # items 1, 2 | 3, 4, 5; class 0 empty
    scores = np.array([[5., 1, 4, 4, 0], [5., 1, 4, 4, 0], [5., 1, 4, 4, 0]])
    logp = np.log(np.array([[.1, .2, .7]] * 3))
    among = sessions.rank_targets(scorer_of(scores, logp), held_of([3, 1, 5]), category,
                                  {"one": 1, "all": 9}, batch_size=2)
    full, share = among[""]
    assert share.tolist() == [1] * 3
    assert full.greater.tolist() == [1, 0, 4] and full.ties.tolist() == [1, 0, 0]
    assert full.inside.all()
    places, share = among["one"]  # only items 3, 4, 5 are candidates: the best item, 1, is a miss
    assert places.greater.tolist() == [0, metrics.MISS, 2] and places.ties.tolist() == [1, 0, 0]
    assert places.inside.tolist() == [True, False, True] and share.tolist() == [0.6] * 3
    groups = {"": np.ones(3, bool), ", last": np.arange(3) == 2}
    found = sessions.figures(places, groups, k=2, kind=" at x")
    assert found["Recall@2 at x"] == pytest.approx(1 / 3)
    assert found["coverage at x"] == pytest.approx(2 / 3)
    assert found["MRR@2 at x"] == pytest.approx((0.75 + 0 + 0) / 3)  # place 1 or 2; a miss; place 3
    assert found["coverage at x, last"] == 1
    everything, share = among["all"]
    assert all(np.array_equal(a, b) for a, b in zip(everything, full, strict=True))
    assert share.tolist() == [1] * 3


def test_places_are_those_of_a_mask():
    rng = np.random.default_rng(0)
    category = np.append(0, rng.integers(0, 6, 40))
    index, scores = choose.index_of(category, 7), rng.integers(0, 9, (30, 40)) * 1.0
    logp = rng.normal(size=(30, 7))
    target = rng.integers(1, 41, 30)
    among = sessions.rank_targets(scorer_of(scores, logp), held_of(target), category,
                                  {"one": 1, "three": 3}, batch_size=7)
    masks = {"": None, **{name: choose.items_of(choose.topk(logp, K), index)
                          for name, K in (("one", 1), ("three", 3))}}
    for name, (places, _) in among.items():
        greater, ties = metrics.greater_and_ties(scores, target - 1, masks[name])
        assert places.greater.tolist() == greater.tolist()
        assert places.ties.tolist() == ties.tolist()


def test_scores_that_are_not_finite():
    with pytest.raises(InputError, match="finite"):
        sessions.rank_targets(lambda history, cases: (np.array([[np.nan, 1.0]]), None),
                              held_of([1]), np.zeros(3, int), {})


def test_k_is_that_of_the_validation_sessions():
    index = choose.index_of(np.array([0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2]), 3)  # sizes 1, 2, 7
    logp = np.log(np.array([[.5, .4, .1]]))
    ks = sessions.choose_ks(lambda history, cases: (None, logp), held_of([1]), index,
                                   (0.01, 0.25, 1.0))
    assert ks == {" at 1%": 1, " at 25%": 2, " at 100%": 3}
    other = np.log(np.array([[.5, .4, .1], [.1, .2, .7]]))  # K = 1, 2: .1, .3 and .7, .9: .4, .6
    ks = sessions.choose_ks(lambda history, cases: (None, other[cases]), held_of([1, 1]),
                                   index, (0.3, 0.6), 1)
    assert ks == {" at 30%": 1, " at 60%": 2}
    assert sessions.choose_ks(lambda history, cases: (None, None), held_of([1]), index) == {}


def untrained(problem):
    """A model with both heads as it is drawn."""
    job, = reproduce.jobs_of("hiersrec", 1, {"width": "8"}, ["HierSRec"])
    model, config = runs.MODELS["hiersrec"], sessions.config_of(problem, job)
    return sessions.two_heads(model, model.init(np.random.default_rng(0), config), config)


def test_report_of_two_heads_and_of_one(problem):
    rows = sessions.plain_rows(problem)
    together, score = rows["co-occurrence, last item"], untrained(problem)
    best = sessions.report(problem.split, problem.log, score, score)
    assert rows["random"]["Recall@20"] == pytest.approx(20 / problem.split.items)
    assert best["MRR@20"] == best["MRR@20 at 100%"]
    assert best["coverage at 100%"] == best["share at 100%"] == 1
    assert not any(" at " in column for column in together)
    shares = sessions.reachable(problem.split)
    for kind in (f" at {share:.0%}" for share in shares):
        assert best[f"Recall@20{kind}"] <= best[f"coverage{kind}"]
        change = best[f"Recall@20{kind}"] - best["Recall@20"]
        assert change == pytest.approx(best[f"gained{kind}"] - best[f"lost{kind}"])
        assert best[f"lowest share{kind}"] <= best[f"share{kind}"] <= best[f"highest share{kind}"]
    sizes = [best[f"cases, {name}"] for name in sessions.LENGTHS]
    assert sum(sizes) == best["cases"] == len(problem.split.test.item)
    weighted = sum(n * best[f"MRR@20, {name}"]
                   for n, name in zip(sizes, sessions.LENGTHS, strict=True))
    assert weighted / best["cases"] == pytest.approx(best["MRR@20"])


def test_matched_width_and_random_text(problem):
    texts = {"width": "32"}
    jobs = {row: reproduce.jobs_of("hiersrec", 1, texts, [row])[0]
            for row in ("HierSRec", "flat MTL", table_rows.MATCHED, table_rows.RANDOM_TEXT)}
    size = {row: sessions.count_parameters(runs.find_model(job.model, job.overrides),
                                           sessions.config_of(problem, job))
            for row, job in jobs.items()}
    off = {row: abs(size[row] / size["HierSRec"] - 1) for row in size}
    assert off[table_rows.MATCHED] < 0.02 < off["flat MTL"]
    words = problem.split.train.text
    drawn = sessions.split_of(problem, jobs[table_rows.RANDOM_TEXT]).test.history.text
    assert not np.allclose(words, drawn)
    np.testing.assert_allclose(np.linalg.norm(words, axis=1), np.linalg.norm(drawn, axis=1))
    assert sessions.split_of(problem, jobs["HierSRec"]) is problem.split


def test_cold_items_are_in_no_training_session():
    _, _, split = runs.open_task(replace(TASK, cold=0.15))
    known = np.bincount(split.train.item, minlength=split.items + 1) > 0
    assert np.array_equal(known, np.bincount(split.refit.item, minlength=split.items + 1) > 0)
    assert (~known[1:]).mean() >= 0.149 and len(split.test.item) == 916
    assert (split.train.text[1:][~known[1:]] != 0).any()
    groups = sessions.group_cases(split)
    assert np.array_equal(groups[", cold"], ~known[split.test.item])
    assert np.all(groups[", warm"] ^ groups[", cold"])


def test_reproduce_hiersrec(tmp_path, capsys):
    rows = [part for row in ("HierSRec", "SASRec", table_rows.BOUND) for part in ("--only", row)]
    out = ("--out", str(tmp_path))
    assert main(["reproduce", "--paper", "hiersrec", *FROM_VIEWS, "--cold", "0.15", *out, *FEW, *rows]) == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert "coverage at 10%" in printed and "4%" not in printed
    assert "co-occurrence, last item" in printed and table_rows.BOUND in printed
    assert {"MRR@20 at 10%, cold", "K at 100%", "MRR@20, 1 click"} <= set(found["HierSRec"]["mean"])
    assert found[table_rows.BOUND]["overrides"]["hier"] == "oracle"
    assert "MRR@20 at 10%" not in found["SASRec"]["mean"]
    assert found["HierSRec"]["mean"]["MRR@20 at 100%"] == found["HierSRec"]["mean"]["MRR@20"]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"finished", "results.json", "table.png", "learning.png"}


@pytest.mark.parametrize("options, says", [
    (("--split", "x.npz"), "takes no --split"), (("--candidates", "unseen"), "unseen"),
    (("--cold", "2"), "--cold"),
    (("--split-by", "leave-one-out"), "--split-by"),
    (("--set", "hier=deep"), "hier"),
])
def test_wrong_options_are_one_sentence(tmp_path, capsys, options, says):
    command = ["reproduce", "--paper", "hiersrec", *FROM_VIEWS, "--out", str(tmp_path / "out"), *options]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.startswith("mbref: ") and says in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_items_never_trained_on_are_their_metadata_alone():
    events = from_rows(np.array([1, 1]), np.array([1, 3]), np.ones(2, int), 1)
    params = {"b_i": np.array([1, 9, 3]), "E_I": np.array([[0], [2], [9], [4]])}
    found = sessions.forget_ids(variants, params, events, 3)
    assert found["b_i"].tolist() == [1, 0, 3] and found["E_I"].tolist() == [[0], [2], [0], [4]]
    for model in (paper, sasrec):
        assert sessions.forget_ids(model, params, events, 3) is params


def test_shares_that_whole_categories_can_make(problem):
    """Of 12 categories of 30 to 60 items none is 4%; a column is within half a category of it."""
    assert sessions.reachable(problem.split) == (0.1, 0.25, 0.5, 1.0)
    assert sessions.columns(problem) == ["MRR@20", "Recall@20", *SHOWN]
    score = untrained(problem)
    best = sessions.report(problem.split, problem.log, score, score)
    assert not any(" at 4%" in column for column in best)
    for share in (0.1, 0.25, 0.5, 1.0):
        assert best[f"share at {share:.0%}"] == pytest.approx(share, abs=60 / 379 / 2)


def test_evaluate_prints_figures_of_candidates_beside_the_full_ones(tmp_path, capsys):
    run = str(tmp_path / "run")
    few = (*SET_SMALL, "--steps", "60", "--set", "evaluate_every=1", "--set", "rate=0.05",
           "--set", "patience=1")  # stops one step after the best
    assert main(["train", "hiersrec", "--out", run, *FROM_VIEWS, *few]) == 0
    capsys.readouterr()
    assert main(["evaluate", run]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    assert "99 uniform neg." in first and second.splitlines()[-1].startswith("this run")
    model, params, config, _, log, split = runs.open_run(run)
    searched = runs.load_search(run)
    known = [runs.load(run)[i] for i in (0, 2, 3)]
    validate = evaluation.validation(model, config, split, measure="MRR@20", count=known[2].validation_cases)
    search = training.load_checkpoint(tmp_path / "run/search.npz", *known)
    assert training.best_step(search) < search.step
    assert validate(searched) == max(metric for _, _, metric in search.validations)
    row = sessions.report_of(split, log, model, config, searched, params)
    shown = [f"{row[name]:.3f}" for name in ("MRR@20", "Recall@20", *SHOWN)]
    assert second.splitlines()[-1].split()[2:] == shown


def test_k_is_of_the_search_and_figures_of_the_final_model(problem):
    job, = reproduce.jobs_of("hiersrec", 1, {"width": "4"}, ["HierSRec"])
    model, config = runs.MODELS["hiersrec"], sessions.config_of(problem, job)
    searched, final = (model.init(np.random.default_rng(seed), config) for seed in (0, 1))
    searched["category"]["b"][:] = np.arange(13)  # the same categories for all
    row = sessions.report_of(problem.split, problem.log, model, config, searched, final)
    scorers = [sessions.two_heads(model, params, config) for params in (searched, final)]
    assert row == sessions.report(problem.split, problem.log, *scorers)
    for pair in ([scorers[0]] * 2, [scorers[1]] * 2):
        assert row != sessions.report(problem.split, problem.log, *pair)


def test_recommend_reads_the_texts(tmp_path, capsys):
    run = str(tmp_path / "run")
    few = ("--steps", "2", "--set", "width=4")
    assert main(["train", "hiersrec", "--out", run, *FROM_VIEWS, *few]) == 0
    model, params, config, kind, log, split = runs.open_run(run)
    sizes = np.diff(split.test.history.ptr)
    session = int(np.flatnonzero(sizes > 1)[-1])  # a test case of several clicks
    user = split.test.history.user[session]
    clicks = log.item[log.user == user]
    found = recommend(model, params, config, kind, log, log.users[user], split.items,
                           text=split.refit.text)
    batch = model.ranking_batch(split.test.history, np.array([session]), config)
    scores = model.score_all(params, batch._replace(item=clicks[None]), config)[0]
    want = dict(zip(log.items[1:].tolist(), scores.tolist(), strict=True))
    assert {item: score for item, score, _ in found} == pytest.approx(want, abs=1e-5)
    capsys.readouterr()
    assert main(["recommend", run, "--user", log.users[user], "-k", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[1] == found[0].item


def test_shown_is_the_share_of_the_abstract_where_it_is_in_reach(problem, monkeypatch):
    monkeypatch.setattr(sessions, "reachable", lambda split: sessions.SHARES)
    names = "MRR@20", "Recall@20", "coverage", "share"
    assert sessions.columns(problem)[2:] == [f"{name} at 4%" for name in names]
    assert sessions.KIND.figure_columns(problem) == sessions.columns(problem)[:4]


def test_without_an_own_prediction_there_are_no_candidates(problem):
    log, task, config = problem.log, problem.task, variants.Config(items=3, categories=2)
    assert sessions.applies(paper, paper.Config(items=3, categories=2), task, log)
    assert sessions.applies(variants, config, task, log)
    for change in ({"tasks": "item"}, {"hier": "oracle"}):
        assert not sessions.applies(variants, replace(config, **change), task, log)
    assert not sessions.applies(sasrec, sasrec.Config(items=3), task, log)
    assert not sessions.applies(paper, config, replace(task, split="leave-one-out"), log)
    assert not sessions.applies(paper, config, task, log._replace(category=None))
