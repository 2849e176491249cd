"""Cases of the ledger's rows on HierSRec: a few sessions of items in three categories.

ledger_cases.py says what a case is.
"""
from dataclasses import replace

import numpy as np
from autograd import grad

from mbref import evaluation, metrics, runs
from mbref.candidates import choose
from mbref.data import sequences, session_batches, sessions
from mbref.data.leave_one_out import Held, Split
from mbref.data.log import Attributes
from mbref.variants import hiersrec
from tests.ledger.ledger_cases import draw_as, log_of

N = 6
BASE = hiersrec.Config(items=N, categories=3, text=2, width=8, item_width=4, category_width=2,
                       projection_width=3, length=4)
CATEGORY = np.array([0, 1, 1, 2, 2, 3, 3])
SESSIONS = [[1, 2, 1, 3], [4, 3, 6]]
LOGP = np.log([[0.1, 0.6, 0.2, 0.1]])  # of the categories 0 (unknown) to 3
INDEX = choose.index_of(CATEGORY, 4)


def events(lists=SESSIONS):
    items = [item for one in lists for item in one]
    user = np.repeat(np.arange(1, len(lists) + 1), [len(one) for one in lists])
    text = np.random.default_rng(0).normal(size=(N + 1, 2))
    return sequences.from_rows(user, np.array(items), np.ones(len(items), int), 1)._replace(
        category=CATEGORY, text=text)


def batch_of(lists=SESSIONS):
    rows, = session_batches.examples(events(lists), BASE, None)
    return session_batches.training_batch(events(lists), rows, BASE, None)


def params_of(config):
    return draw_as(hiersrec.init(np.random.default_rng(0), config))


def scores(config, lists=SESSIONS):
    batch = session_batches.ranking_batch(events(lists), np.arange(len(lists)), config)
    return hiersrec.score_all(params_of(config), batch, config)


def by_scores(change):
    return scores(BASE), scores(replace(BASE, **change))


def by_loss(change):
    configs = BASE, replace(BASE, **change)
    return tuple(hiersrec.loss(params_of(config), batch_of(), config) for config in configs)


def item_loss_and_category_head(change):
    """Gradient of the item loss with respect to the category head."""
    def gradient(config):
        items_alone = replace(config, category_weight=0.0)
        return grad(hiersrec.loss)(params_of(config), batch_of(), items_alone)["category"]["w"]

    return gradient(BASE), gradient(replace(BASE, **change))


def later_clicks():
    """Encodings of the first two clicks, whatever comes after them."""
    return tuple(hiersrec.forward(params_of(BASE), batch_of([session]), BASE)[:, :2]
                 for session in ([1, 2, 1, 3], [1, 2, 6, 5]))


def input_projection():
    """Encodings with W_in, and with the identity in its place: the concatenation itself is read."""
    params, batch = params_of(BASE), batch_of()
    direct = params | {"in": {"w": np.eye(8), "b": np.zeros(8)}}
    return hiersrec.forward(params, batch, BASE), hiersrec.forward(direct, batch, BASE)


def positions_from_the_start():
    """The last encoding of a prefix, and the same click's within the whole session."""
    def encode(session):
        batch = session_batches.ranking_batch(events([session]), np.array([0]), BASE)
        return hiersrec.forward(params_of(BASE), batch, BASE)

    return encode([1, 2])[:, 1], encode([1, 2, 1, 3])[:, 1]


def concatenation_is_a_sum():
    """Item logits of concat(s, g), and of s and g through the two halves of W_i, added up."""
    params, s = params_of(BASE), np.random.default_rng(1).normal(size=(3, 8))
    q, logp = hiersrec.join(params, s, BASE)
    g = hiersrec.projection(params, logp, BASE)
    w = params["item"]["w"]
    halves = s @ w[:8] + g @ w[8:] + params["item"]["b"]
    return hiersrec.item_logits(params, batch_of(), q, BASE), halves


def one_encoder_for_both():
    """What the category loss asks of the encoder: nothing, if it had an encoder of its own."""
    def category_loss(params):
        both = hiersrec.loss(params, batch_of(), BASE)
        return both - hiersrec.loss(params, batch_of(), replace(BASE, category_weight=0.0))

    gradient = grad(category_loss)(params_of(BASE))["blocks"][0]["f1"]["w"]
    return gradient, np.zeros_like(gradient)


def candidates_of(change):
    """How many items the most probable category holds, and those that hold half of all items."""
    chosen = [choose.topk(LOGP, 1), change(LOGP, 0.5, INDEX)]
    return tuple(choose.items_of(one, INDEX).sum() for one in chosen)


def items_of_a_parent(change):
    """Candidates of a category above the leaves: none where an item has its leaf alone."""
    leaves, parents = np.arange(1, N + 1), np.arange(1, 5)  # items 1 to 4 are of category 0, too
    both = change(np.append(leaves, parents), np.append(CATEGORY[1:], 0 * parents), N, 4)
    parent = np.arange(4) == 0
    return tuple(choose.items_of(parent[None], index).sum() for index in (INDEX, both))


def misses_count(change):
    """Recall where the target's category was not chosen."""
    target, allowed = np.array([6]), choose.items_of(choose.topk(LOGP, 1), INDEX)

    def recall(among):
        place = metrics.greater_and_ties(scores(BASE)[:1], target - 1, among)
        return float(metrics.hit_rate(*place, 20)[0])

    return recall(allowed), recall(change(allowed, target))


def weight_of_a_category(change):
    """Probability of each item among those of one category, and by p(c) p(i | c) among all."""
    z = scores(BASE)[:1]
    allowed = choose.items_of(choose.topk(LOGP, 1), INDEX)
    e = np.exp(z) * allowed
    return e / e.sum(), np.exp(change(LOGP, z, CATEGORY))


def cases_of_a_session(change):
    """How many clicks of a session of four are to be found: all but the first, or the last."""
    log = log_of([(1, item, 1, 0) for item in SESSIONS[0]])
    return len(sessions.prefixes(events(SESSIONS[:1])).item), len(change(log, "any").test.item)


def seen_target(change):
    """How many items beat a target of the highest score that the session has clicked before."""
    held = Held(events([[2, 1]]), np.array([2]), np.array([True]))
    score = lambda history, cases: np.arange(N)[None] == 1.0
    return tuple(evaluation.count_rivals(score, held, N, **kind)[0].greater for kind in ({}, change))


def vectors_of_text(change):
    """E^M of three items with two words each."""
    names = np.array(["", "red", "shoe", "hat"])
    words = Attributes(np.array([0, 0, 2, 4, 6]), np.array([1, 2, 2, 3, 1, 3]), names)
    log = log_of([(1, item, 1, 0) for item in (1, 2, 3)], attributes=words)
    made = sequences.from_rows(log.user, log.item, log.behaviour, 1)
    held = Held(made, made.item[:1], np.zeros(1, bool))
    split = Split(made, held, held, made, 3, 1, 1)
    kinds = "words", change.get("text", "words")
    return tuple(runs.with_text(split, log, kind).train.text for kind in kinds)


def support_of_an_item(change):
    """Items kept of three where two clicks are asked for.

    Item 3 has one click in training and one in the test.
    """
    clicks = ((1, 0, [1, 2, 3]), (2, 1, [1, 2]), (3, 10, [1, 2]), (4, 30, [1, 2, 3]))
    log = log_of([(user, item, 1, day) for user, day, items in clicks for item in items])
    splits = [sessions.session_split(log, min_support=2, **kind) for kind in ({}, change)]
    return tuple(len(split.log.items) - 1 for split in splits)


def tied_scores(change):
    """MRR of a target that ties with the nine other items."""
    first, nine = np.zeros(1, int), np.full(1, 9)
    return tuple(metrics.mrr(first, nine, 20, **ties) for ties in ({}, change))
