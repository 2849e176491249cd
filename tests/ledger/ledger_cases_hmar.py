"""Cases of the ledger's rows on HMAR, on a log of three users and four behaviours.

See ledger_cases.py. Users 1 and 2 have two buys each, user 3 has none. In released/ the defaults are
the release's, so there a switch gives mbref's side.
"""
from dataclasses import replace

import numpy as np
from autograd import grad

from mbref import evaluation, metrics
from mbref.data.leave_one_out import leave_one_out
from mbref.errors import InputError
from mbref.nn.layers import lookup
from mbref.papers import hmar as paper
from mbref.released.hmar import data as hmar_data, model as released
from mbref.variants import hmar
from tests.ledger.ledger_cases import draw_as, log_of

N, SHOP = 12, ("buy", "cart", "fav", "pv")
EVENTS = [(1, 1, 4), (1, 2, 4), (1, 2, 2), (1, 2, 1), (1, 3, 4), (1, 1, 3), (1, 1, 1), (1, 1, 4),
          (2, 4, 4), (2, 2, 4), (2, 5, 1), (2, 4, 2), (2, 6, 1),
          (3, 5, 4), (3, 7, 2), (3, 5, 3)]
LOG = log_of([(*event, 0) for event in EVENTS], SHOP, items=np.arange(N + 1).astype(str))
ONCE = log_of([(user, item, behaviour, 0) for user, item, behaviour in  # nobody meets an item twice
               [(1, 1, 4), (1, 2, 2), (1, 3, 4), (1, 4, 3), (1, 5, 1), (1, 6, 1)]], SHOP)
BASE = hmar.Config(items=N, behaviours=4, width=8, length=6, heads=2, dropout=0.0)
TAOBAO = released.Config(items=N, behaviours=4, width=8, length=6, heads=2, dropout=0.0)
USERS = np.array([0, 1])


def params_of(config, model=hmar):
    return draw_as(model.init(np.random.default_rng(0), config))


def batch_of(config=BASE, log=LOG):
    """A training batch of all users but those whose events are held out."""
    split = leave_one_out(log, "buy", counts=hmar.history_counts(config))
    rows, = hmar.examples(split.refit, config, None)
    return hmar.training_batch(split.refit, rows, config, np.random.default_rng(1))


def ranking_of(config=BASE):
    held = leave_one_out(LOG, "buy").test.history
    return hmar.ranking_batch(held, USERS, config)


def on_both_sides(function, change):
    """function(config) at the default and with the change."""
    return tuple(function(config) for config in (BASE, replace(BASE, **change)))


def by_states(change):
    return on_both_sides(lambda c: hmar.forward(params_of(c), batch_of(c), c), change)


def by_loss(change):
    return on_both_sides(lambda c: hmar.loss(params_of(c), batch_of(c), c), change)


def by_scores(change):
    return on_both_sides(lambda c: hmar.score_all(params_of(c), ranking_of(c), c), change)


def by_counts(change):
    """Indicators of what is read, three rows at a time."""
    short = replace(BASE, length=3)
    return tuple(batch_of(c).counts for c in (short, replace(short, **change)))


def partition_of(**choices):
    return hmar_data.partition(LOG, "buy", without_target="train", **choices)


def released_batch(config):
    return hmar_data.sample(partition_of().train, USERS, config, np.random.default_rng(1))


def variant(**changed):
    """The Taobao file with other switches."""
    return replace(TAOBAO, variant=replace(TAOBAO.file, **changed))


def by_variant(change):
    """States of the Taobao file, and with a switch of another file."""
    return tuple(released.forward(params_of(c, released), released_batch(c), c)
                 for c in (TAOBAO, variant(**change)))


def masks_after_a_moved_norm(change):
    """States where a layer norm's beta fills masked rows: under masks, and read off zeros."""
    norm = variant(behaviour_norm=True)
    return tuple(released.forward(params_of(norm, released), released_batch(norm), c)
                 for c in (replace(norm, **change), norm))


def behaviour_residual(change):
    """None around the behaviours' attention, and the usual one."""
    return tuple(released.forward(params_of(TAOBAO, released), released_batch(TAOBAO), c)
                 for c in (TAOBAO, replace(TAOBAO, **change)))


def order_of_contexts(change):
    """Indicators in the order of their events, and reversed."""
    return tuple(released_batch(c).counts for c in (replace(TAOBAO, **change), TAOBAO))


def released_candidates(change):
    """Candidates' counts: the same for all, and for the held-out one those of the whole log."""
    batch = hmar_data.ranking_batch(partition_of(), USERS, TAOBAO)
    return tuple(released.candidate_counts(batch, (2, 3), c)
                 for c in (replace(TAOBAO, **change), TAOBAO))


def share_of_answers(change):
    """How often the counts that the class head sees are the one-hot of its label.

    In that log nobody meets an item twice.
    """
    shares = []
    for config in (BASE, replace(BASE, **change)):
        follow = batch_of(config, ONCE).next
        label = follow.behaviour[..., None] == np.arange(1, 5)
        shares.append(np.mean(np.all(follow.counts == label, axis=-1)[follow.item > 0]))
    return tuple(shares)


def class_logits(change):
    """Linear, and behind a ReLU."""
    q, z = np.random.default_rng(0).normal(size=(2, 5, 8))
    params = params_of(BASE)
    return paper.class_logits(params, q, z), released.class_logits(params, q, z, variant(**change))


def events_before_the_test(change):
    """How many training events stay."""
    return tuple(len(leave_one_out(LOG, "buy", **drop).refit.item)
                 for drop in ({}, change))


def validation_items(change):
    """The items to validate on: of the last buy but one, and, as released, of the test's own."""
    held = change(LOG, "buy", without_target="train").target
    return leave_one_out(LOG, "buy").validation.item, held[held > 0]


def repeated_negatives(change):
    """In 20 draws of 6 negatives for two users, does one come twice or is the target?"""
    test, found = leave_one_out(LOG, "buy").test, [False, False]
    for seed in range(20):
        clean = evaluation.negatives_of_cases(test, N, seed, count=6)
        ours = np.append(test.item[:, None], clean, axis=1)
        theirs = change(partition_of(), USERS, N, np.random.default_rng(seed), count=6)
        for side, rows in enumerate((ours, theirs)):
            found[side] |= any(len(row) > len(set(row)) for row in rows.tolist())
    return tuple(found)


def constant_scorer(change):
    """HR@10 among 100 equal scores: expected over ties, and as the release's sorting leaves them.
    """
    scores = np.zeros((1, 100))
    expected = metrics.hit_rate(*metrics.greater_and_ties(scores, np.zeros(1, int)), 10)
    return expected, change(scores)[0]


def scaled_input():
    """Codes of what is read, with sqrt(d) on the item's embedding, and without it."""
    params, batch = params_of(BASE), batch_of()
    plain = paper.code(params, lookup(params["item"], batch.item), batch.counts)
    return paper.input_code(params, batch.item, batch.counts), plain + params["position"]


def first_of_two_blocks(change):
    """Does the first of two behaviour encoders learn?

    It does if they are stacked; as released only the last one counts.
    """
    config, other = replace(BASE, **change), replace(TAOBAO, **change)
    of_paper = grad(hmar.loss)(params_of(config), batch_of(config), config)
    of_release = grad(released.loss)(params_of(other, released), released_batch(other), other)
    return tuple(g["blocks"][0]["behaviour"]["f1"]["w"].any() for g in (of_paper, of_release))


def users_without_a_buy(change):
    """How many users there is something to train on; the release stops."""
    def usable(**choice):
        try:
            return len(hmar_data.users_to_train(hmar_data.partition(LOG, "buy", **choice).train))
        except InputError:
            return 0
    return usable(**change), usable()


def users_to_draw_from():
    """Users with two training rows, whom we draw from, and all users, as in the MovieLens file."""
    log = log_of([(1, 1, 1, 0), (2, 1, 1, 0), (2, 2, 1, 0)], ("buy",))
    short = hmar_data.partition(log, "buy")
    return len(hmar_data.users_to_train(short.train)), len(short.train.user)
