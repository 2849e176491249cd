"""CNN, Bi-LSTM and SASRec against torch's layers, and two against the release's states."""
from dataclasses import replace

import autograd.numpy as np
import numpy as onp
import pytest
from autograd import grad

from mbref.baselines import bilstm, cnn, sasrec
from mbref.nn import optim
from mbref.nn.layers import relu
from tests.baselines.baseline_batches import (
    SASREC,
    TOLERANCE,
    random_params,
    training_batch,
    worst_error,
)
from tests.optional import library, require
from tests.released.atrank_states import load, our_batch, with_padding

torch = library("torch")


def test_lstm_equals_torch():
    """Torch's gates come as i, f, j, o, it has two biases and adds no 1 to the forget gate."""
    rng, d = onp.random.default_rng(0), 5
    x, lengths = rng.normal(size=(4, 7, d)), torch.tensor([7, 3, 1, 6])
    shapes = {"w": (2, d, 4 * d), "u": (2, d, 4 * d), "b": (2, 4 * d)}
    p = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    module = torch.nn.LSTM(d, d, batch_first=True, bidirectional=True, dtype=torch.float64)
    order = onp.concatenate([onp.arange(d) + gate * d for gate in (0, 2, 1, 3)])
    for direction, end in enumerate(("", "_reverse")):
        getattr(module, f"weight_ih_l0{end}").data = torch.tensor(p["w"][direction].T[order])
        getattr(module, f"weight_hh_l0{end}").data = torch.tensor(p["u"][direction].T[order])
        b = p["b"][direction][order] + onp.repeat([0, 1, 0, 0], d)
        getattr(module, f"bias_ih_l0{end}").data = torch.tensor(b)
        getattr(module, f"bias_hh_l0{end}").data.zero_()
    tensor = torch.tensor(x, requires_grad=True)
    rnn = torch.nn.utils.rnn
    packed = rnn.pack_padded_sequence(tensor, lengths, batch_first=True, enforce_sorted=False)
    states, (ends, _) = module(packed)
    states, _ = rnn.pad_packed_sequence(states, batch_first=True)
    real = onp.arange(7) < lengths.numpy()[:, None]

    def ours(x, p):
        outputs, ends = bilstm.lstm(p, x, real)
        return outputs * real[..., None], ends

    ends = torch.cat([ends[0], ends[1]], dim=-1)
    for got, want in zip(ours(x, p), (states, ends), strict=True):
        assert worst_error(got, want.detach().numpy()) < TOLERANCE
    weights = [rng.normal(size=out.shape) for out in (states, ends)]
    pairs = zip((states, ends), weights, strict=True)
    sum((out * torch.tensor(w)).sum() for out, w in pairs).backward()

    def total(x, p):
        return sum(np.sum(out * w) for out, w in zip(ours(x, p), weights, strict=True))

    assert worst_error(grad(total)(x, p), tensor.grad.numpy()) < TOLERANCE
    got = grad(total, 1)(x, p)
    for direction, end in enumerate(("", "_reverse")):
        for name, theirs in (("w", "weight_ih_l0"), ("u", "weight_hh_l0"), ("b", "bias_ih_l0")):
            want = getattr(module, theirs + end).grad.numpy()
            assert worst_error(got[name][direction].T[order], want) < TOLERANCE, name


@pytest.mark.parametrize("size", [1, 3, 4])
def test_convolution_and_maximum_equal_torch(size):
    rng = onp.random.default_rng(size)
    x, w, b = (rng.normal(size=shape) for shape in ((3, 7, 5), (size * 5, 4), (4,)))
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    kernel = tensors[1].reshape(size, 5, 4).permute(2, 1, 0)
    conv = torch.nn.functional.conv1d(tensors[0].transpose(1, 2), kernel, tensors[2])
    want = conv.detach().transpose(1, 2).numpy()  # [B, L - size + 1, n]
    assert worst_error(cnn.convolve({"w": w, "b": b}, x, size), want) < TOLERANCE
    best = torch.nn.functional.adaptive_max_pool1d(conv.relu(), 1)[..., 0]
    cotangent = rng.normal(size=best.shape)
    (best * torch.tensor(cotangent)).sum().backward()

    def ours(x, w, b):
        return cnn.max_over_time(relu(cnn.convolve({"w": w, "b": b}, x, size)))

    assert worst_error(ours(x, w, b), best.detach().numpy()) < TOLERANCE
    for i, tensor in enumerate(tensors):
        got = grad(lambda *inputs: np.sum(ours(*inputs) * cotangent), i)(x, w, b)
        assert worst_error(got, tensor.grad.numpy()) < TOLERANCE


@pytest.mark.parametrize("kind", ["softmax", "bce"])
def test_sasrec_equals_torch(kind):
    require("torch")
    from tests.baselines.sasrec_torch import TorchSASRec, named_gradients
    config = replace(SASREC, loss=kind)
    params, batch = random_params(sasrec, config), training_batch(sasrec, config)
    module = TorchSASRec(params, config.heads)
    z, real = module(torch.tensor(batch.item), config.heads), torch.tensor(batch.item > 0)
    assert not batch.item.all()  # some padding
    states = sasrec.forward(params, batch, config)[batch.item > 0]
    assert worst_error(states, z[real].detach().numpy()) < TOLERANCE
    item, negative = (torch.tensor(ids)[real] for ids in (batch.next.item, batch.next.negative))
    if kind == "softmax":
        want = torch.nn.functional.cross_entropy(z[real] @ module.item[1:].T, item - 1)
    else:
        scores = torch.stack([(z[real] * module.item[i]).sum(-1) for i in (item, negative)])
        labels = torch.tensor([[1.0], [0.0]], dtype=torch.float64).expand_as(scores)
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        want = 2 * entropy(scores, labels)
    want.backward()
    assert abs(sasrec.loss(params, batch, config) - want.item()) < TOLERANCE
    theirs = dict(optim.leaves(named_gradients(module)))
    for name, a in optim.leaves(grad(sasrec.loss)(params, batch, config)):
        onp.testing.assert_allclose(a, theirs[name], atol=TOLERANCE, err_msg=name)


@pytest.fixture(params=["cnn", "rnn", "rnn_att"])
def release(request):
    """Model, config, recorded arrays, our batch, and a function from a prefix to our parameters."""
    arrays, settings, batch, parameters = load(request.param)
    sizes = {name: rows for name, rows, _ in settings.tables}
    given = dict(items=sizes["item"], categories=sizes["category"], width=settings.width,
                 penalty=settings.penalty)
    model = cnn if request.param == "cnn" else bilstm
    given |= {} if model is cnn else {"attention": request.param == "rnn_att"}
    params = lambda prefix: ours(model, parameters(prefix))
    return model, model.Config(**given), arrays, our_batch(batch, settings), params


def ours(model, tree):
    """The release's parameters, or gradients, in the nested dict of the model's init."""
    common = {"tables": [with_padding(tree["tables"][name]) for name in ("item", "category")],
              "bias": with_padding(tree["bias"][0])}
    if model is cnn:
        return common | {"event": tree["groups"][0]} | {k: tree[k] for k in ("filters", "user")}
    cells = [tree["lstm"][way] for way in ("forwards", "backwards")]
    kernel, d = onp.stack([p["w"] for p in cells]), len(cells[0]["b"]) // 4
    lstm = {"w": kernel[:, :d], "u": kernel[:, d:], "b": onp.stack([p["b"] for p in cells])}
    return common | {"lstm": lstm, "user": tree["user"]}


def test_release_logits_and_loss(release):
    model, config, arrays, batch, params = release
    got = model.score(params("params"), batch, batch.candidate, config)[:, 0]
    assert worst_error(got, arrays["outputs/logits"]) < TOLERANCE
    loss = model.loss(params("params"), batch, config)
    assert worst_error(loss, arrays["outputs/loss"]) < TOLERANCE


def test_release_every_gradient(release):
    model, config, _, batch, params = release
    got = grad(model.loss)(params("params"), batch, config)
    for (name, a), (_, b) in zip(optim.leaves(got), optim.leaves(params("grads")), strict=True):
        assert worst_error(a, b) < TOLERANCE, name


