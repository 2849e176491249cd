"""What the golden cases hold of softplus, log softmax, clipping and first steps: by SciPy, and by
what must be so."""
import numpy as np
import pytest

from mbref.check import casefile, cases
from tests.optional import library

special = library("scipy.special")


def of(component):
    """-> (case, arrays), case by case, for pytest.mark.parametrize."""
    return [pytest.param(case, casefile.arrays(case), id=str(case))
            for case in cases(f"{component}/")]


def arrays_of(id):
    return casefile.arrays(cases(id)[0])


def near(got, want, relative=1e-12):
    np.testing.assert_allclose(got, want, rtol=relative, atol=1e-300)


@pytest.mark.parametrize("case, a", of("losses.softplus"))
def test_softplus(case, a):
    near(a["outputs/y"], -special.log_expit(-a["inputs/x"]))
    near(a["grads/inputs/x"], special.expit(a["inputs/x"]) * a["cotangents/y"])


@pytest.mark.parametrize("case, a", of("losses.log_softmax"))
def test_log_softmax(case, a):
    near(a["outputs/logp"], special.log_softmax(a["inputs/logits"], axis=-1), 1e-10)
    total = a["cotangents/logp"].sum(axis=-1, keepdims=True)
    want = a["cotangents/logp"] - special.softmax(a["inputs/logits"], axis=-1) * total
    np.testing.assert_allclose(a["grads/inputs/logits"], want, atol=1e-12)


@pytest.mark.parametrize("case, a", of("optim.clip_by_global_norm"))
def test_one_factor_brings_the_norm_to_the_limit(case, a):
    before, after = (np.concatenate([a[f"{group}/w"].ravel(), a[f"{group}/b"]])
                     for group in ("inputs", "outputs"))
    norm, limit = np.linalg.norm(before), case.config["limit"]
    assert (norm > limit) == ("Clipped" in case.flags)
    assert np.linalg.norm(after) == pytest.approx(min(norm, limit), rel=1e-14)
    near(after, before * (min(norm, limit) / norm if norm else 1))


def test_one_case_clips_arrays_that_are_short_and_one_leaves_arrays_whose_norms_add_up_to_more():
    for name, clipped in (("basic", True), ("below", False)):
        case, a = cases(f"optim.clip_by_global_norm/{name}")[0], arrays_of(
            f"optim.clip_by_global_norm/{name}")
        norms, limit = [np.linalg.norm(a["inputs/w"]),
                        np.linalg.norm(a["inputs/b"])], case.config["limit"]
        assert max(norms) < limit < sum(norms) and (np.hypot(*norms) > limit) == clipped


def test_adams_first_step_has_the_length_of_the_rate():
    """Whatever the gradient: m / (1 - beta1) = g and v / (1 - beta2) = g^2, so p moves by rate g /
    (|g| + 1e-8)."""
    a = arrays_of("optim.adam/first_step")
    for name in ("w", "b"):
        g = a[f"inputs/grad_{name}"][0]
        near(a[f"outputs/{name}"][0], a[f"inputs/{name}"] - 0.1 * g / (abs(g) + 1e-8))


def test_adam_does_not_move_before_there_is_a_gradient():
    a = arrays_of("optim.adam/zero")
    assert not a["inputs/grad_w"][0].any() and not a["inputs/grad_b"][0].any()
    assert (a["outputs/w"][0] == a["inputs/w"]).all() and (a["outputs/w"][1] != a["inputs/w"]).all()


def test_the_directed_cases_hold_what_they_are_for():
    x, rate = arrays_of("layers.relu/at_zero"), cases("layers.dropout/basic")[0].config["rate"]
    at_zero = x["inputs/x"] == 0
    assert at_zero.any() and not x["grads/inputs/x"][at_zero].any()
    drop = arrays_of("layers.dropout/basic")
    assert (drop["inputs/draws"] == rate).any() and (drop["inputs/draws"] < rate).any()
    y = drop["outputs/y"]
    np.testing.assert_array_equal(y == 0, drop["inputs/draws"] < rate)
    unknown = arrays_of("layers.embed/unknown")["inputs/ids"] == 0
    assert unknown.any(axis=(0, 1)).all() and not unknown.all(axis=-1).any()
