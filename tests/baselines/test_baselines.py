"""CNN, Bi-LSTM and SASRec against torch's layers, the first two also against recorded states of the authors' release.

Then, for each: gradients against central differences, padding, the future, other rows, empty histories, types.
"""
from dataclasses import replace

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad
from autograd.test_util import check_grads

from mbref.baselines import bilstm, bpr_mf, cnn, sasrec
from mbref.data import sequences, targets
from mbref.data.targets import History
from mbref.errors import InputError
from mbref.nn import optim
from tests.optional import library, require
from tests.released.atrank_states import load, our_batch, with_padding

torch = library("torch")
TOLERANCE = 1e-10
N, DAY = 9, 86400
CNN = cnn.Config(items=N, categories=3, width=6, sizes=3, filters=4, length=6, penalty=1e-2)
LSTM = bilstm.Config(items=N, categories=3, width=4, length=6, penalty=1e-2)
OF_ONE_TARGET = [(cnn, CNN), (cnn, replace(CNN, categories=0)), (bilstm, LSTM),
                 (bilstm, replace(LSTM, attention=True)), (bilstm, replace(LSTM, attention=True, categories=0))]
SASREC = sasrec.Config(items=N, width=4, length=6, heads=2, dropout=0.0)
EVERY = [*OF_ONE_TARGET, (sasrec, SASREC), (sasrec, replace(SASREC, loss="bce", heads=1, blocks=1))]


def worst(got, want):
    """Largest error relative to the largest absolute value of `want`."""
    return onp.max(onp.abs(got - want)) / onp.max(onp.abs(want), initial=1e-30)


def random_params(model, config, seed=0):
    """Parameters away from their initial zeros, so that no gradient is hidden by them."""
    rng = onp.random.default_rng(seed)
    return optim.tree_map(lambda a: a + rng.normal(0, 0.3, a.shape), model.init(rng, config))


def events(config, histories=((3, 1, 3, 5, 1, 2, 3, 8), (4, 4, 2), (6, 1), (2, 5, 9, 7, 2))):
    """One sequence a user, an event every few days."""
    item = onp.concatenate([onp.array(h, int) for h in histories])
    user = onp.repeat(onp.arange(1, len(histories) + 1), [len(h) for h in histories])
    time = onp.arange(len(item)) ** 2 * DAY
    category = onp.append(0, onp.arange(N) % 3 + 1) if getattr(config, "categories", 0) else None
    return sequences.from_rows(user, item, onp.ones_like(item), 1)._replace(
        time=time, now=onp.full(len(histories), time[-1] + 9 * DAY), category=category)


def training_batch(model, config, log=None):
    rng = onp.random.default_rng(0)
    log = events(config) if log is None else log
    return model.batch(log, model.examples(log, config, rng)[0], config, rng)


def ranking_batch(model, config, log=None):
    log = events(config) if log is None else log
    return model.batch(log, onp.arange(len(log.user)), config)


# torch


def test_lstm_equals_torch():
    """Torch's gates come as i, f, j, o, it has two biases and adds no 1 to the forget gate."""
    rng, d = onp.random.default_rng(0), 5
    x, lengths = rng.normal(size=(4, 7, d)), torch.tensor([7, 3, 1, 6])
    p = {"w": rng.normal(size=(2, d, 4 * d)), "u": rng.normal(size=(2, d, 4 * d)), "b": rng.normal(size=(2, 4 * d))}
    module = torch.nn.LSTM(d, d, batch_first=True, bidirectional=True, dtype=torch.float64)
    order = onp.concatenate([onp.arange(d) + gate * d for gate in (0, 2, 1, 3)])
    for direction, end in enumerate(("", "_reverse")):
        getattr(module, f"weight_ih_l0{end}").data = torch.tensor(p["w"][direction].T[order])
        getattr(module, f"weight_hh_l0{end}").data = torch.tensor(p["u"][direction].T[order])
        getattr(module, f"bias_ih_l0{end}").data = torch.tensor(p["b"][direction][order] + onp.repeat([0, 1, 0, 0], d))
        getattr(module, f"bias_hh_l0{end}").data.zero_()
    tensor = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(tensor, lengths, batch_first=True, enforce_sorted=False)
    states, (ends, _) = module(packed)
    states, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
    real = onp.arange(7) < lengths.numpy()[:, None]

    def ours(x, p):
        h = np.stack(bilstm.lstm(p, x, real))  # [L, 2, B, D]
        both = np.concatenate([h[:, 0], h[::-1, 1]], axis=-1)  # [L, B, 2D]
        return np.swapaxes(both, 0, 1) * real[..., None], np.concatenate([h[-1, 0], h[-1, 1]], axis=-1)

    ends = torch.cat([ends[0], ends[1]], dim=-1)
    for got, want in zip(ours(x, p), (states, ends), strict=True):
        assert worst(got, want.detach().numpy()) < TOLERANCE
    weights = [rng.normal(size=out.shape) for out in (states, ends)]
    sum((out * torch.tensor(w)).sum() for out, w in zip((states, ends), weights, strict=True)).backward()

    def total(x, p):
        return sum(np.sum(out * w) for out, w in zip(ours(x, p), weights, strict=True))

    assert worst(grad(total)(x, p), tensor.grad.numpy()) < TOLERANCE
    got = grad(total, 1)(x, p)
    for direction, end in enumerate(("", "_reverse")):
        for name, theirs in (("w", "weight_ih_l0"), ("u", "weight_hh_l0"), ("b", "bias_ih_l0")):
            want = getattr(module, theirs + end).grad.numpy()
            assert worst(got[name][direction].T[order], want) < TOLERANCE, name


@pytest.mark.parametrize("size", [1, 3, 4])
def test_convolution_and_maximum_equal_torch(size):
    rng = onp.random.default_rng(size)
    x, w, b = (rng.normal(size=shape) for shape in ((3, 7, 5), (size * 5, 4), (4,)))
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    kernel = tensors[1].reshape(size, 5, 4).permute(2, 1, 0)
    conv = torch.nn.functional.conv1d(tensors[0].transpose(1, 2), kernel, tensors[2])  # [B, n, L - size + 1]
    assert worst(cnn.convolve({"w": w, "b": b}, x, size), conv.detach().transpose(1, 2).numpy()) < TOLERANCE
    best = torch.nn.functional.adaptive_max_pool1d(conv.relu(), 1)[..., 0]
    cotangent = rng.normal(size=best.shape)
    (best * torch.tensor(cotangent)).sum().backward()

    def ours(x, w, b):
        return cnn.max_over_time(cnn.relu(cnn.convolve({"w": w, "b": b}, x, size)))

    assert worst(ours(x, w, b), best.detach().numpy()) < TOLERANCE
    for i, tensor in enumerate(tensors):
        got = grad(lambda *inputs: np.sum(ours(*inputs) * cotangent), i)(x, w, b)
        assert worst(got, tensor.grad.numpy()) < TOLERANCE


@pytest.mark.parametrize("kind", ["softmax", "bce"])
def test_sasrec_equals_torch(kind):
    require("torch")
    from sasrec_torch import TorchSASRec, named_gradients
    config = replace(SASREC, loss=kind)
    params, batch = random_params(sasrec, config), training_batch(sasrec, config)
    module = TorchSASRec(params, config.heads)
    z, real = module(torch.tensor(batch.item), config.heads), torch.tensor(batch.item > 0)
    assert not batch.item.all()  # some padding
    assert worst(sasrec.forward(params, batch, config)[batch.item > 0], z[real].detach().numpy()) < TOLERANCE
    item, negative = torch.tensor(batch.next.item)[real], torch.tensor(batch.next.negative)[real]
    if kind == "softmax":
        want = torch.nn.functional.cross_entropy(z[real] @ module.item[1:].T, item - 1)
    else:
        scores = torch.stack([(z[real] * module.item[i]).sum(-1) for i in (item, negative)])
        labels = torch.tensor([[1.0], [0.0]], dtype=torch.float64).expand_as(scores)
        want = 2 * torch.nn.functional.binary_cross_entropy_with_logits(scores, labels)
    want.backward()
    assert abs(sasrec.loss(params, batch, config) - want.item()) < TOLERANCE
    theirs = dict(optim.leaves(named_gradients(module)))
    for name, a in optim.leaves(grad(sasrec.loss)(params, batch, config)):
        onp.testing.assert_allclose(a, theirs[name], atol=TOLERANCE, err_msg=name)


# the authors' release


@pytest.fixture(params=["cnn", "rnn", "rnn_att"])
def release(request):
    """Model, config, recorded arrays, our batch, and a function from a prefix to our parameters."""
    arrays, settings, batch, parameters = load(request.param)
    sizes = {name: rows for name, rows, _ in settings.tables}
    common = dict(items=sizes["item"], categories=sizes["category"], width=settings.width, penalty=settings.penalty)
    model = cnn if request.param == "cnn" else bilstm
    more = {} if model is cnn else {"attention": request.param == "rnn_att"}
    return model, model.Config(**common, **more), arrays, our_batch(batch, settings), lambda prefix: ours(
        model, parameters(prefix))


def ours(model, tree):
    """The release's parameters, or gradients, in the nested dict of the model's init."""
    common = {"tables": [with_padding(tree["tables"][name]) for name in ("item", "category")],
              "bias": with_padding(tree["bias"][0])}
    if model is cnn:
        return common | {"event": tree["groups"][0], "filters": tree["filters"], "user": tree["user"]}
    cells = [tree["lstm"][way] for way in ("forwards", "backwards")]
    kernel, d = onp.stack([p["w"] for p in cells]), len(cells[0]["b"]) // 4
    lstm = {"w": kernel[:, :d], "u": kernel[:, d:], "b": onp.stack([p["b"] for p in cells])}
    return common | {"lstm": lstm, "user": tree["user"]}


def test_release_logits_and_loss(release):
    model, config, arrays, batch, params = release
    got = model.score(params("params"), batch, batch.candidate, config)[:, 0]
    assert worst(got, arrays["outputs/logits"]) < TOLERANCE
    assert worst(model.loss(params("params"), batch, config), arrays["outputs/loss"]) < TOLERANCE


def test_release_every_gradient(release):
    model, config, _, batch, params = release
    got = grad(model.loss)(params("params"), batch, config)
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(params("grads")), strict=True):
        assert worst(a, b) < TOLERANCE, name


# every baseline


@pytest.mark.parametrize("model, config", EVERY)
def test_gradients_against_central_differences(model, config):
    params, batch = random_params(model, config), training_batch(model, config)
    check_grads(lambda p: model.loss(p, batch, config), modes=["rev"], order=1)(params)


def longer(batch, extra):
    """The same histories with more padding on the right."""
    history = History(*(onp.pad(x, ((0, 0), (0, extra))) for x in batch.histories[0]))
    return batch._replace(histories=(history,))


@pytest.mark.parametrize("model, config, extra", [
    *((model, config, 7) for model, config in OF_ONE_TARGET),
    (cnn, CNN, 494),  # the release pads to 500
])
def test_more_padding_changes_nothing(model, config, extra):
    params, batch = random_params(model, config), training_batch(model, config)
    more = longer(batch, extra)
    assert worst(model.score(params, more, None, config), model.score(params, batch, None, config)) < 1e-12
    got, want = (grad(model.loss)(params, b, config) for b in (more, batch))
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(want), strict=True):
        onp.testing.assert_allclose(a, b, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("model, config", EVERY)
def test_scores_of_all_items_equal_those_of_given_ones(model, config):
    params, batch = random_params(model, config), ranking_batch(model, config)
    every = onp.broadcast_to(onp.arange(1, N + 1), (4, N))
    want = model.score(params, batch, every, config)
    onp.testing.assert_allclose(model.score(params, batch, None, config), want, atol=1e-12)
    shuffled = model.score(params, batch, every[:, ::-1][:, 3:5], config)
    onp.testing.assert_allclose(shuffled, want[:, ::-1][:, 3:5], atol=1e-12)


@pytest.mark.parametrize("model, config", EVERY)
def test_a_row_does_not_see_the_others(model, config):
    params, log = random_params(model, config), events(config)
    together = model.score(params, ranking_batch(model, config), None, config)
    for row in range(4):
        alone = model.score(params, model.batch(log, onp.array([row]), config), None, config)
        onp.testing.assert_allclose(alone[0], together[row], atol=1e-12)


@pytest.mark.parametrize("model, config", OF_ONE_TARGET)
def test_a_target_does_not_see_itself_or_what_follows(model, config):
    """Scores at the third event stay when it and all later events of its user become other items."""
    params, log = random_params(model, config), events(config)
    item = log.item.copy()
    item[2:8] = [7, 6, 9, 9, 7, 6]
    row = onp.array([[2, 5]])  # event, candidate
    before, after = (model.score(params, targets.training_batch(x, row, config.length, N, DAY), None, config)
                     for x in (log, log._replace(item=item)))
    onp.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("model, config", EVERY)
def test_an_empty_history_gives_finite_scores(model, config):
    log = events(config)._replace(ptr=onp.array([0, 8, 8, 18]), user=onp.arange(1, 4))
    batch = model.batch(log, onp.arange(3), config)
    alone = model.batch(log, onp.array([1]), config)
    params = random_params(model, config)
    scores = model.score(params, batch, None, config)
    assert onp.isfinite(scores).all()
    onp.testing.assert_allclose(model.score(params, alone, None, config)[0], scores[1], atol=1e-12)


@pytest.mark.parametrize("model, config", EVERY)
def test_float32_stays_float32(model, config):
    params = optim.tree_map(lambda a: a.astype(onp.float32), random_params(model, config))
    batch, rng = training_batch(model, config), onp.random.default_rng(0)
    for name, a in optim.leaves(grad(model.loss)(params, batch, config, rng)):
        assert a.dtype == onp.float32, name
    assert model.score(params, ranking_batch(model, config), None, config).dtype == onp.float32


@pytest.mark.parametrize("model, config", [pair for pair in EVERY if pair[0] is sasrec])
def test_sasrec_positions_do_not_see_the_future_and_padding_changes_nothing(model, config):
    params, batch = random_params(model, config), training_batch(model, config)
    z = model.forward(params, batch, config)
    item = batch.item.copy()
    item[:, 4:] = item[:, 4:] % N + 1  # other items at the two newest positions
    onp.testing.assert_array_equal(model.forward(params, batch._replace(item=item), config)[:, :4], z[:, :4])
    row = onp.flatnonzero((batch.item > 0).sum(axis=1) == 2)[:1]  # two events: cut all padding off
    short = model.forward(params, batch._replace(item=batch.item[row, 4:]), config)
    onp.testing.assert_allclose(short, z[row, 4:], atol=1e-12)


def test_sasrec_softmax_by_hand():
    """Mean over the events that have a next one of -log(e^s / sum of e^s over items 1..N)."""
    params, batch = random_params(sasrec, SASREC), training_batch(sasrec, SASREC)
    z, table, want = sasrec.forward(params, batch, SASREC), params["item"], []
    for b, t in zip(*onp.nonzero(batch.next.item), strict=True):
        e = [onp.exp(table[i] @ z[b, t]) for i in range(1, N + 1)]
        want.append(-onp.log(e[batch.next.item[b, t] - 1] / sum(e)))
    assert sasrec.loss(params, batch, SASREC) == pytest.approx(onp.mean(want), abs=1e-12)


@pytest.mark.trains
def test_sasrec_learns_a_cycle():
    """Items that follow one another in a circle: after training the next one ranks first everywhere."""
    log = events(SASREC, [[(start + step) % N + 1 for step in range(7)] for start in range(N)])
    config, rule = replace(SASREC, width=8, heads=1, dropout=0.1), optim.Adam(1e-2)
    for kind in ("softmax", "bce"):
        config = replace(config, loss=kind)
        params, rng = sasrec.init(onp.random.default_rng(0), config), onp.random.default_rng(1)
        moments = optim.start(rule, params)
        for step in range(1, 81):
            batch = sasrec.batch(log, sasrec.examples(log, config, rng)[0], config, rng)
            params, moments = optim.update(rule, params, grad(sasrec.loss)(params, batch, config, rng), moments, step)
        best = sasrec.score(params, ranking_batch(sasrec, config, log), None, config).argmax(axis=1) + 1
        onp.testing.assert_array_equal(best, log.item[log.ptr[1:] - 1] % N + 1)


@pytest.mark.parametrize("model, config", OF_ONE_TARGET)
def test_pairs_have_a_target_and_its_negative_in_one_row(model, config):
    apart, together = (training_batch(model, replace(config, pairs=pairs)) for pairs in (False, True))
    assert apart.candidate.shape == (28, 1) and together.candidate.shape == (14, 2)  # 14 of 18 events are targets


def test_cnn_reads_time_and_the_lstm_does_not():
    for model, config, reads in ((cnn, CNN, True), (bilstm, LSTM, False)):
        params, log = random_params(model, config), events(config)
        later = log._replace(now=log.now + 300 * DAY)
        a, b = (model.score(params, ranking_batch(model, config, x), None, config) for x in (log, later))
        assert (a != b).any() == reads


def test_cnn_buckets_of_time():
    """Gaps 1 and 2, 3 to 6, and all from 4095 days on are the same to it."""
    params, batch = random_params(cnn, CNN), ranking_batch(cnn, CNN)

    def same(*gaps):
        a, b = (cnn.forward(params, batch._replace(histories=(batch.histories[0]._replace(
            gap=onp.full_like(batch.histories[0].gap, gap)),)), CNN) for gap in gaps)
        return (a == b).all()

    assert same(1, 2) and same(3, 6) and same(4095, 10**6)
    assert not same(0, 1) and not same(2, 3) and not same(6, 7) and not same(4094, 4095)


def test_truncated_normal_filters():
    w = cnn.truncated_normal(onp.random.default_rng(0), 400, 100)
    assert abs(w).max() <= 2 and abs(w).max() > 1.99
    assert abs(w.std() - 0.8796) < 0.005  # sd of a normal cut at 2 sd
    params = cnn.init(onp.random.default_rng(0), cnn.Config(items=N))
    assert all((p["b"] == 0.1).all() and abs(p["w"]).max() <= 0.2 for p in params["filters"])


@pytest.mark.parametrize("model, config", [(cnn, CNN), (sasrec, SASREC)])
def test_dropout_is_drawn_in_training_alone(model, config):
    dropped = replace(config, dropout=0.5)
    params, batch = random_params(model, config), training_batch(model, config)
    silent = model.loss(params, batch, dropped)
    assert silent == model.loss(params, batch, config)
    assert silent != model.loss(params, batch, dropped, onp.random.default_rng(0))


@pytest.mark.parametrize("model, field, value", [
    (cnn, "width", 5), (cnn, "sizes", 0), (cnn, "dropout", 1.0), (cnn, "penalty", -1.0), (cnn, "unit", 0),
    (bilstm, "width", 3), (bilstm, "length", 0), (bilstm, "penalty", float("nan")), (bilstm, "items", 0),
    (sasrec, "loss", "bpr"), (sasrec, "heads", 3), (sasrec, "blocks", 0), (sasrec, "dropout", -0.1),
    (bpr_mf, "penalty", float("nan")), (bpr_mf, "width", 0),
])
def test_bad_configs_are_refused(model, field, value):
    with pytest.raises(InputError, match=field):
        model.Config(**({"items": N} | ({"users": 3} if model is bpr_mf else {}) | {field: value}))
