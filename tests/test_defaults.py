"""Values that nobody gives: what a call without them does."""
from dataclasses import fields
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbref import evaluation, metrics, protocol, runs, training
from mbref.candidates import rank
from mbref.data import group_events, item_text, sessions, targets
from mbref.data.leave_one_out import Held, draw_cases, leave_one_out
from mbref.data.sequences import from_rows
from mbref.data.readers import build, read, table
from mbref.data import shipped
from mbref.nn import optim
from mbref.tables.recommend import recommend

VIEWS = str(shipped.tiny_data() / "diginetica/train-item-views.csv")


def test_cold_items_are_those_of_seed_0_in_every_run():
    log, task = read(VIEWS, "diginetica"), runs.Task(VIEWS, "diginetica", "view", split="session-rec", cold=0.15)
    parts, split = runs.split_sessions(log, task)
    warm = sessions.session_split(log, task.split, min_support=task.min_support, days=task.days)
    want, _ = sessions.cold(warm, 0.15, np.random.default_rng(0))
    other, _ = sessions.cold(warm, 0.15, np.random.default_rng(1))
    assert np.array_equal(parts.log.item, want.log.item) and np.array_equal(
        split.train.item, sessions.as_split(want).train.item)
    assert not np.array_equal(sessions.as_split(other).train.item, split.train.item)


def test_a_gap_is_of_the_first_20():
    full, among = (rank.Standing(np.array([places]), np.array([0]), np.array([True])) for places in (20, 19))
    assert rank.gap(full, among) == (1.0, 0.0)  # from place 21 to place 20
    assert rank.gap(full, among, 19) == rank.gap(full, among, 21) == (0.0, 0.0)


@pytest.mark.parametrize("bootstrap, shape", [(metrics.paired_bootstrap, 5), (metrics.bootstrap_of_seeds, (2, 5))])
def test_a_bootstrap_draws_1000_times(bootstrap, shape):
    a, b = np.random.default_rng(0).random((2, *np.atleast_1d(shape)))
    (rng, found), (drawn, want) = ((r, bootstrap(a, b, r, *n)) for r, n in (
        (np.random.default_rng(7), ()), (np.random.default_rng(7), (1000,))))
    assert found == want and rng.random() == drawn.random()  # the generators stand at the same place


def test_training_takes_what_readme_says():
    text = " ".join((Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split())
    s = training.Settings()
    assert (f"at most {s.steps} steps of {s.batch_size} rows, by {s.optimiser.title()} with a rate of {s.rate:g}, a beta2 of "
            f"{s.beta2:g} and gradients clipped at a norm of {s.clip:g}; every {s.evaluate_every} steps it asks the "
            f"validation events, and it ends when {s.patience} times none was better.") in text
    assert (s.seed, s.rates, s.drop_step, s.validation_cases, s.threads, s.float32, s.validate) == (
        0, (), 0, 0, 1, True, "NDCG@10")


@pytest.mark.parametrize("model, named, settings", [
    # the release's folder atrank/: 64 + 64 wide, 8 heads, one block, L2 5e-5, no dropout, days; SGD 1.0, clip 5, batches of 32
    ("atrank", dict(table_width=64, width=128, heads=8, blocks=1, penalty=5e-5, dropout=0.0, unit=24 * 60 * 60),
     dict(optimiser="sgd", rate="1", clip="5", batch_size="32")),
    # section 4: d = 128, r = 10, "5e-5 or 1e-4", "32 or 16", SGD from 1.0; lambda_3 is ours (LEDGER D14)
    ("dmran", dict(width=128, hops=10, penalty=5e-5, redundancy=1e-4, unit=24 * 60 * 60),
     dict(optimiser="sgd", rate="1", clip="5", batch_size="16")),
    # the release's Yelp and MovieLens runs: d 50, one head and block, dropout .4, theta .1; L 50, its default
    ("hmar", dict(width=50, length=50, heads=1, blocks=1, dropout=0.4, theta=0.1), {}),
    # nothing of it could be read: ours (LEDGER D9: lambda 1)
    ("hiersrec", dict(category_weight=1.0, dropout=0.0), dict(beta2="0.999"))])
def test_settings_of_the_papers_and_their_releases(model, named, settings):
    values = {field.name: field.default for field in fields(runs.MODELS[model].Config)}
    assert {name: values[name] for name in named} == named
    wanted = protocol.optional(runs.MODELS[model], "SETTINGS")
    assert {name: wanted[name] for name in settings} == settings


@pytest.mark.parametrize("function, values", [
    (sessions.session_split, dict(rule="session-rec", support="train", min_support=5, days=7)),  # of session-rec's script
    (sessions.cut_sessions, dict(gap=30 * 60)), (leave_one_out, dict(min_events=3, counts="running")),
    (group_events.split, dict(share=0.15)), (item_text.text_vectors, dict(columns=1024, width=64)),
    (evaluation.negatives_of_cases, dict(count=99)), (evaluation.report, dict(candidates="all", k=10)),
    (evaluation.validation, dict(candidates="all", measure="NDCG@10", count=0)), (runs.with_text, dict(seed=0)),
    (recommend, dict(reasons=2)), (optim.SGD, dict(rate=0.1, clip=None)), (targets.Batch, dict(group=0)),
    (build.Reading, dict(behaviours=None, columns=None, header=True, sample_users=0, keep_repeats=False)),
    (table.Table, dict(separators=("\t",), header="named", optional=(), event="click", clock="number", typed=False)),
    (runs.Task, dict(drop_target_history=False, candidates="all", min_events=3, split="leave-one-out", gap=0,
                     days=7, min_support=5, text="words", cold=0.0, no_header=False, sample_users=0,
                     keep_repeats=False)),
    (optim.Adam, dict(rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, clip=None))])  # Kingma & Ba, algorithm 1
def test_what_a_call_leaves_out(function, values):
    """As the docstrings, README and the releases' scripts have it."""
    found = {name: parameter.default for name, parameter in signature(function).parameters.items()}
    assert {name: found[name] for name in values} == values


def test_a_validation_by_auc_has_20_negatives_of_its_own():
    """Of seed 1, where the test's are of others; a part of the cases is that of seed 0."""
    rng, n = np.random.default_rng(5), 30
    log = from_rows(np.repeat(np.arange(1, n + 1), 3), rng.integers(1, 401, 3 * n), np.ones(3 * n, int), 1)
    split = SimpleNamespace(validation=Held(log, rng.integers(1, 401, n), np.zeros(n, bool)), items=400)
    model = SimpleNamespace(ranking_batch=lambda history, cases, config: cases,
                            score=lambda params, cases, candidates, config: np.sin(9.0 * candidates))
    score = evaluation.candidate_scorer(model, {"a": np.zeros(1)}, None)
    for count in (0, 7):
        held = draw_cases(split.validation, 7, np.random.default_rng(0)) if count else split.validation
        negatives = evaluation.negatives_of_cases(held, 400, seed=1, count=20)
        got = evaluation.validation(model, None, split, measure="AUC", count=count)
        assert got({"a": np.zeros(1)}) == evaluation.auc(score, held, negatives)["AUC"]
