"""The exhibits of notebook 12: known faults, each a line of mbref's own code in another form.

`exhibit(n)` plants the fault of exhibit n for as long as its block lasts; what is shown there is
computed by mbref with that line in it. `reveal(n)` asks the kit of golden cases, which names it.
"""
import inspect
import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import NamedTuple

import numpy as np

import demo
import mbref
from mbref import check as kit
from mbref.check.components import atrank as atrank_cases, hiersrec as hiersrec_cases
from mbref.check.components.reading import own_functions
from mbref.nn import vjps
from mbref.nn.layers import stop_gradient
from mbref.papers import atrank, dmran, hiersrec


class Fault(NamedTuple):
    """A line of a function in another form."""

    where: str        # module and function
    old: str          # a part of the function's text
    new: str
    shows: str        # what one would see
    name: str = ""    # of what the faulty function stands for, if not of itself


class Exhibit(NamedTuple):
    """What is wrong, and what else it might be."""

    component: str    # of the kit, which catches all three
    answer: str
    a: Fault
    b: Fault
    c: Fault


ENCODER, HOPS = "papers.hmar.behaviour_encoder", "papers.dmran.item_attention"
CODE, SCORE = "papers.atrank.behaviour_code", "papers.hmar.score"
FEATURES, SOFTMAX = "papers.dmran.feature_attention", "nn.vjps.masked_softmax_plain"
STATES, LOSS = "papers.hiersrec.forward", "papers.hiersrec.loss"
PROJECTION = "papers.hiersrec.projection"
BUCKET, LAST = 'time_bucket(history.gap, "paper")', "config)[:, -1:] * q, axis=-1)"
EXHIBITS = {
    1: Exhibit(
        "hmar.behaviour_encoder", "b",
        Fault(ENCODER, "causal & M[:, None, :] & M[:, :, None]",
              "M[:, None, :] & M[:, :, None]", "weights right of the diagonal"),
        Fault(ENCODER, "causal & M[:, None, :] & M[:, :, None]",
              "causal & M[:, :, None]", "weights in columns of other behaviours"),
        Fault(ENCODER, "causal & M[:, None, :] & M[:, :, None]",
              "np.tril(causal, -1) & M[:, None, :] & M[:, :, None]", "an empty diagonal")),
    2: Exhibit(
        "dmran.item_attention", "c",
        Fault(HOPS, 'relu(matmul(H, params["W_s1"].T))', 'matmul(H, params["W_s1"].T)',
              "rows that sum to 1: an ordinary map, with other numbers"),
        Fault(HOPS, "real[:, None])", "np.ones_like(real[:, None]))",
              "weights in Bo's columns of padding"),
        Fault(HOPS, "masked_softmax(np.swapaxes(scores, 1, 2), real[:, None])",
              "np.swapaxes(masked_softmax(scores, real[..., None]), 1, 2)",
              "columns that sum to 1, and rows that do not")),
    3: Exhibit(
        "atrank.behaviour_code", "a",
        Fault(CODE, BUCKET, 'time_bucket(86400 * history.gap, "paper")',
              "one jump, from today to yesterday"),
        Fault(CODE, BUCKET, 'time_bucket(history.gap, "release")', "jumps at 1, 3, 7, 15"),
        Fault(CODE, BUCKET, '0 * history.gap - 1', "no jump at all")),
    4: Exhibit(
        "hmar.score", "c",
        Fault(SCORE, LAST, "config)[:, :1] * q, axis=-1)", "right shapes for every B and C"),
        Fault(SCORE, LAST, "config)[:, -1:] * q, axis=1)", "shapes [B, D], never an error"),
        Fault(SCORE, LAST, "config)[:, -1] * q, axis=-1)",
              "[B, D] times [B, C, D]: right for B = 1, wrong for B = C, else an error")),
    5: Exhibit(
        "dmran.feature_attention", "b",
        Fault(FEATURES, "softmax(np.swapaxes(F, 2, 3)), 2, 3)",
              "softmax(np.swapaxes(F, 1, 3)), 1, 3)", "weights that do not sum to 1 over j"),
        Fault(FEATURES, "np.expand_dims(M, 1)", "np.expand_dims(M, 2)",
              "the sum over j of beta_ij m_i, which is m_i"),
        Fault(FEATURES, "beta * np.exp", "np.mean(beta, axis=3, keepdims=True) * np.exp",
              "an M^ near M, for a while, but not M")),
    6: Exhibit(
        "attention.masked_softmax", "a",
        Fault(SOFTMAX, "scores + (~allowed * scores.dtype.type(-1e9))",
              "np.where(allowed, scores, -np.inf)",
              "NaN in rows where nothing may be attended, such as those of padding",
              "masked_softmax"),
        Fault(SOFTMAX, "keepdims=True)) * allowed", "keepdims=True))",
              "equal weights in rows of padding: no NaN anywhere", "masked_softmax"),
        Fault(SOFTMAX, "scores - np.max(getval(scores), axis=-1, keepdims=True)", "scores",
              "NaN where a score is large, alone or together", "masked_softmax")),
    7: Exhibit(
        "hiersrec", "a",
        Fault(STATES, "masks.causal_real(", "masks.pairs(",
              "a start as it should be, then far less than the rule allows"),
        Fault(LOSS, "whole(len(target))", "whole(batch.next.size)",
              "a loss too small before the first step: padding is counted"),
        Fault(LOSS, "item + config.category_weight * np.sum(category)", "item",
              "a loss too small before the first step, by log of the classes")),
    8: Exhibit(
        "hiersrec.projection", "b",
        Fault(PROJECTION, "np.exp(logp)", "logp", "another loss"),
        Fault(PROJECTION, "np.exp(logp)", "np.exp(stop_gradient(logp))",
              "the same loss, and no gradient of the category head"),
        Fault(PROJECTION, "np.exp(logp)", "np.exp(log_softmax(np.exp(logp)))", "another loss")),
}


# Planting.

def split_name(fault):
    """The module of a fault, and the names of the text that is changed and of what it replaces."""
    module, _, name = fault.where.rpartition(".")
    return import_module(f"mbref.{module}"), name, fault.name or name


def rewrite(fault):
    """The function with its line in the other form."""
    module, name, _ = split_name(fault)
    text = inspect.getsource(inspect.unwrap(getattr(module, name)))
    if text.count(fault.old) != 1:
        raise ValueError(f"{fault.where} has {fault.old!r} {text.count(fault.old)} times, not once")
    scope = vars(module) | {"stop_gradient": stop_gradient}
    exec(text.replace(fault.old, fault.new), scope)
    return scope[name]


@contextmanager
def plant(fault):
    """While it is open, all of mbref calls the faulty function, and what overflows is quiet."""
    module, _, name = split_name(fault)
    right, wrong = getattr(module, name), rewrite(fault)
    found = [(one, vars(one).get(name)) for key, one in list(sys.modules.items())
             if key.startswith("mbref.")]
    found = [(one, there) for one, there in found if getattr(there, "func", there) is right]
    slow = mbref.plain() if hasattr(right, "plain") else nullcontext()
    try:
        for one, there in found:  # variants/ has some with another forward
            setattr(one, name, wrong if there is right else partial(wrong, **there.keywords))
        with slow, np.errstate(all="ignore"):
            yield
    finally:
        for one, there in found:
            setattr(one, name, there)


def exhibit(number):
    """The block in which the fault of an exhibit is planted."""
    one = EXHIBITS[number]
    return plant(getattr(one, one.answer))


# The game.

def show(number):
    """Print the three candidates, a part of a line each as it is and as it would be."""
    for letter in "abc":
        fault = getattr(EXHIBITS[number], letter)
        print(f"{letter}  {fault.where}\n   - {fault.old}\n   + {fault.new}")


def judge(number, guess):
    """Say whether guess() gives the right letter; a stub says its sentence."""
    try:
        letter = guess()
    except NotImplementedError as stub:
        print(f"exhibit {number}: {stub}")
        return
    if letter == EXHIBITS[number].answer:
        print(f"exhibit {number}: right")
    else:
        fault = getattr(EXHIBITS[number], str(letter), None)
        print(f"exhibit {number}: no; " + (f"{letter} would show {fault.shows}" if fault else
                                           "the answer is one of a, b and c"))


def reveal(number):
    """Print the answer, and what the kit says of it."""
    one = EXHIBITS[number]
    print(f"{one.answer}: {getattr(one, one.answer).shows}")
    demo.say(catch(number, one.answer))


def catch(number, letter):
    """What the kit says of a candidate, in the paper's form and with gradients.  -> text."""
    component = EXHIBITS[number].component
    with plant(getattr(EXHIBITS[number], letter)):
        try:
            ask(component)
        except AssertionError as failure:
            return str(failure)
    return f"{component}: all cases pass"


def ask(component):
    """The kit's check of mbref's own function; of papers/ where the kit takes it from variants/."""
    function = PAPERS_OWN.get(component) or own_functions()[component]
    kit.check(component, function, CASES.get(component), quiet=True, gradients=True)


def behaviour_code(params, inputs, tap):
    """papers/atrank.py's code of the events of the first group, 0 at padding."""
    batch, names = atrank_cases.batch_of(inputs), list(params["tables"])
    history = batch.histories[0]
    code = atrank.behaviour_code(params, params["groups"][0], names, history, batch.features[0])
    return {"code": code * (history.item > 0)[..., None]}


def item_attention(params, inputs, tap):
    """papers/dmran.py's hops, whatever the name stands for now."""
    return {"A": dmran.item_attention(params, inputs["H"], inputs["real"])}


def masked_softmax(params, inputs, tap):
    """nn/vjps.py's, likewise."""
    return {"weights": vjps.masked_softmax(inputs["scores"], inputs["allowed"])}


def feature_attention(params, inputs, tap):
    """papers/dmran.py's level of features."""
    return {"M_hat": dmran.feature_attention(params, inputs["M"], tap)}


def hiersrec_loss(params, inputs, tap):
    """papers/hiersrec.py's loss."""
    config = hiersrec_cases.read_config(inputs)
    return {"loss": hiersrec.loss(params, hiersrec_cases.batch_of(inputs), config)}


PAPERS_OWN = {"atrank.behaviour_code": behaviour_code, "hiersrec": hiersrec_loss,
              "dmran.feature_attention": feature_attention,
              "dmran.item_attention": item_attention, "attention.masked_softmax": masked_softmax}
CASES = {"dmran.feature_attention": ["basic"]}  # the others leave out j = i
