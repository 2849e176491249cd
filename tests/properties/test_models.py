"""Properties of every model on random logs: numbers that are finite, and depend on nothing that they must not."""
import numpy as np
import pytest
from autograd import value_and_grad

from mbref.nn import optim
from tests.optional import given, settings, st
from tests.properties.problems import MODELS, config_of, draw_log, draw_params, problems, score, split_of

every_model = pytest.mark.parametrize("name", MODELS)
few = settings(max_examples=8, deadline=None)
CLOSE = dict(rtol=1e-9, atol=1e-11)  # float64; sums of other shapes may be added up in another order


def check_finite(model, params, config, split, seed):
    """A loss, its gradients and all scores are finite numbers; those of candidates are among them."""
    rng = np.random.default_rng(seed)
    with np.errstate(invalid="raise", divide="raise", over="ignore"):  # tanh's gradient is g / cosh^2, 0 for inf
        for rows in model.examples(split.refit, config, rng):
            batch = model.training_batch(split.refit, rng.permutation(rows)[:8], config, rng)
            value, gradients = value_and_grad(model.loss)(params, batch, config, rng)
            assert np.isfinite(value) and all(np.isfinite(g).all() for _, g in optim.leaves(gradients))
        cases = np.arange(len(split.test.item))
        batch = model.ranking_batch(split.test.history, cases, config)
        scores = model.score_all(params, batch, config)
        candidates = rng.integers(0, split.items + 1, (len(cases), 3))
        found = model.score(params, batch, candidates, config)
    assert scores.shape == (len(cases), split.items) and np.isfinite(scores).all() and np.isfinite(found).all()
    wanted = np.take_along_axis(scores, np.maximum(candidates - 1, 0), axis=1)
    tolerance = 1e-9 if scores.dtype == np.float64 else 1e-4
    size = np.abs(scores).max(initial=1)
    assert np.abs((found - wanted)[candidates > 0]).max(initial=0) <= tolerance * size


@every_model
@few
@given(data=st.data())
def test_valid_input_gives_finite_numbers(name, data):
    p = data.draw(problems(name, scales=(1.0, 100.0), dtypes=(np.float64, np.float32)))
    if len(p.split.refit.item) > len(p.split.refit.user):  # somebody has an event to predict
        check_finite(p.model, p.params, p.config, p.split, p.seed)


@every_model
@pytest.mark.parametrize("sizes, items, gap", [([3], 4, 0), ([400, 3], 600, 0), ([3, 4], 600, 10**12)],
                         ids=["few", "long", "late"])
def test_extremes(name, sizes, items, gap):
    """The fewest items, events and positions; histories far longer than they are read, counts of hundreds, and gaps of
    millenia."""
    model, behaviours = MODELS[name], 3 if name == "hmar_released" else 1
    log = draw_log(0, sizes, items, behaviours, categories=1, users=len(sizes), gap=gap)
    log.behaviour[:] = 1
    log.item[: -sum(sizes[1:]) or None] = 1 + (np.arange(sizes[0]) > sizes[0] - 2)  # all but the newest are one item
    config = config_of(model, log, {"length": 1 if items == 4 else 300, "width": 4, "table_width": 4, "heads": 1})
    check_finite(model, draw_params(model, config, 0), config, split_of(model, config, log, np.zeros((items + 1, 0))), 0)


@every_model
@few
@given(data=st.data())
def test_a_case_scores_the_same_alone_and_beside_others(name, data):
    """So neither the other rows of a batch nor the padding to their length count."""
    p = data.draw(problems(name))
    whole = score(p)
    for case in range(len(whole)):
        np.testing.assert_allclose(score(p, np.array([case])), whole[[case]], **CLOSE)


@every_model
def test_biases_begin_at_zero_gains_at_one_and_all_else_is_drawn(name):
    log = draw_log(0, [9, 5, 7], behaviours=4)
    config = config_of(MODELS[name], log, {"width": 8, "table_width": 4, "heads": 2, "length": 4})
    for leaf, a in optim.leaves(MODELS[name].init(np.random.default_rng(0), config)):
        *parts, last = [part for part in leaf.split("/") if not part.isdigit()]
        if parts == ["filters"] and last == "b":  # of the CNN
            assert (a == 0.1).all(), leaf
        elif last in ("b", "b_f", "b_s1", "b_s2", "beta", "bias", "res"):  # HMAR's res: Deviation D4
            assert not a.any(), leaf
        elif last == "gamma":
            assert (a == 1).all(), leaf
        else:  # no two alike
            assert len(np.unique(a)) == a.size and 0.01 < np.abs(a).max() < 2, leaf


def pad_more(batch):
    """The batch with two more columns of padding at the right of all histories."""
    def pad(x):
        return np.pad(x, ((0, 0), (0, 2)))

    histories = tuple(h._replace(**{name: pad(x) for name, x in h._asdict().items() if x.ndim == 2})
                      for h in batch.histories)
    return batch._replace(histories=histories)


def cut_left(batch):
    """The batch without the columns of padding that all its windows begin with."""
    first = int(np.argmax((batch.item > 0).any(axis=0)))
    return batch._replace(item=batch.item[:, first:], behaviour=batch.behaviour[:, first:], counts=batch.counts[:, first:])


# HMAR's release reads masks off zeros, which a norm's beta fills: Deviation D2, D7 of the ledger
@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"hmar_released"}))
@few
@given(data=st.data())
def test_padding_counts_nothing(name, data):
    p = data.draw(problems(name))
    batch = p.model.ranking_batch(p.split.test.history, np.arange(len(p.split.test.item)), p.config)
    if not hasattr(batch, "histories") and not hasattr(batch, "behaviour"):
        return  # HierSRec's positions end where its longest session ends
    other = pad_more(batch) if hasattr(batch, "histories") else cut_left(batch)
    np.testing.assert_allclose(p.model.score_all(p.params, other, p.config),
                               p.model.score_all(p.params, batch, p.config), **CLOSE)


def axes(model, log, p, size):
    """Where parameters have one entry an id: {leaf: (axis, its first id)}, found by a Config with one id more."""
    one_more = {"items": log._replace(items=np.append(log.items, "more")),
                "users": log._replace(users=np.append(log.users, "more"))}[size]
    count, found = len(getattr(log, size)), {}
    shapes = [dict(optim.leaves(optim.tree_map(lambda a: np.array(a.shape), model.init(np.random.default_rng(0), config))))
              for config in (p.config, config_of(model, one_more, p.values, p.text.shape[1]))]
    for leaf, (now, more) in {leaf: (shape, shapes[1][leaf]) for leaf, shape in shapes[0].items()}.items():
        for axis in np.flatnonzero(now != more):
            assert leaf not in found and now[axis] in (count, count - 1)
            found[leaf] = int(axis), count - int(now[axis])
    return found


def rename(params, places, new):
    """The parameters with the entry of id i where new[i] stands."""
    arrays = dict(optim.leaves(params, "p"))
    for leaf, (axis, first) in places.items():
        old = arrays[f"p{leaf}" if leaf.startswith("/") else f"p/{leaf}"]
        old[...] = np.take(old, np.argsort(new[first:] - first), axis=axis)
    return optim.fill(params, arrays, "p")


@every_model
@few
@given(data=st.data())
def test_other_ids_of_users_and_items_change_nothing_but_names(name, data):
    p = data.draw(problems(name))
    rng = np.random.default_rng(p.seed)
    item, user = (np.append(0, 1 + rng.permutation(len(ids) - 1)) for ids in (p.log.items, p.log.users))
    before = score(p)
    places = {size: axes(p.model, p.log, p, size) for size in ("items", "users")}
    params = optim.tree_map(np.copy, p.params)
    for size, new in (("items", item), ("users", user)):
        params = rename(params, places[size], new)
    order = np.argsort(user[p.log.user], kind="stable")
    log = p.log._replace(user=user[p.log.user][order], item=item[p.log.item][order], behaviour=p.log.behaviour[order],
                         time=p.log.time[order], category=p.log.category[order])
    text = np.empty_like(p.text)
    text[item] = p.text
    split = split_of(p.model, p.config, log, text)
    p.params = params
    after = score(p, split=split)
    of_user = {u: row for row, u in enumerate(split.test.history.user.tolist())}
    rows = [of_user[u] for u in user[p.split.test.history.user].tolist()]
    np.testing.assert_allclose(after[np.ix_(rows, item[1:] - 1)], before, **CLOSE)
    assert places["items"]


@every_model
@few
@given(data=st.data())
def test_the_future_changes_no_bit_of_the_past(name, data):
    """The held-out event and what comes after it are others, of all users: scores are the same to the bit."""
    p = data.draw(problems(name))
    before, rng = score(p), np.random.default_rng(p.seed)
    future = np.zeros(len(p.log.user), bool)
    for user in p.split.test.history.user:
        rows = np.flatnonzero(p.log.user == user)
        future[rows[rows >= rows[p.log.behaviour[rows] == 1][-1]]] = True
    of_item = np.zeros(len(p.log.items), int)
    of_item[p.log.item] = p.log.category
    log = p.log._replace(item=np.where(future, rng.integers(1, 20, len(future)), p.log.item))
    log = log._replace(category=of_item[log.item])
    known = np.isin(np.arange(20), log.item)
    split = split_of(p.model, p.config, log, p.text)
    category = split.test.history.category * known + of_item * ~known  # an item that went has no category any more
    history = split.test.history._replace(category=category)
    assert score(p, split=split._replace(test=split.test._replace(history=history))).tobytes() == before.tobytes()


@pytest.mark.parametrize("name", ["hmar", "hmar variants", "hiersrec", "hiersrec variants", "sasrec"])
@few
@given(data=st.data())
def test_a_state_reads_no_later_event(name, data):
    p = data.draw(problems(name))
    batch = p.model.ranking_batch(p.split.test.history, np.arange(len(p.split.test.item)), p.config)
    states = p.model.forward(p.params, batch, p.config)
    at = data.draw(st.integers(0, batch.item.shape[1] - 1))
    rng = np.random.default_rng(p.seed)

    def change(x, low, high):
        later = np.arange(x.shape[1]).reshape(-1, *[1] * (x.ndim - 2)) > at
        real = (batch.item > 0).reshape(*batch.item.shape, *[1] * (x.ndim - 2))
        return np.where(later & real, rng.integers(low, high, x.shape), x).astype(x.dtype)

    other = batch._replace(item=change(batch.item, 1, 20))
    if "hiersrec" not in name:
        other = other._replace(behaviour=change(batch.behaviour, 1, p.split.behaviours + 1), counts=change(batch.counts, 0, 9))
    found = p.model.forward(p.params, other, p.config)
    assert found[:, : at + 1].tobytes() == states[:, : at + 1].tobytes()
