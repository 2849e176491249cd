"""Is the double as strict as CuPy? CuPy can be imported without a GPU, and an array over a made-up address answers
everything short of a computation: what a function takes, which errors come first, shapes and types."""
import inspect

import numpy as np
import pytest

from tests.nn import fake_cupy
from tests.optional import library, require

cupy = library("cupy")


def real(shape=(3, 4), dtype=np.float32):
    memory = cupy.cuda.memory
    return cupy.ndarray(shape, dtype, memory.MemoryPointer(memory.UnownedMemory(0x1000, 1 << 16, None, 0), 0))


def fake(shape=(3, 4), dtype=np.float32):
    return fake_cupy.asarray(np.zeros(shape, dtype))


def test_version():
    """The double was written after this one; another may have other manners."""
    assert require("cupy").__version__.startswith("14.")


@pytest.mark.parametrize("name", sorted(set(fake_cupy.SIGNATURES) - {"size"}))
def test_signature(name):
    theirs, ours = inspect.signature(getattr(cupy, name)), fake_cupy.SIGNATURES[name]
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()]


class Foreign:
    def __array_ufunc__(self, *args, **kwargs):
        return "foreign"


QUESTIONS = {
    # no way to the host but the explicit one
    "asarray": np.asarray, "array": np.array, "np.frombuffer": np.frombuffer, "hash": hash,
    # answered on the host
    "shape": np.shape, "ndim": np.ndim, "size": np.size, "len": len, "iscomplexobj": np.iscomplexobj,
    "result_type": lambda x: np.dtype(np.result_type(x)), "isscalar": np.isscalar,
    # views
    "index": lambda x: x[1:, None], "number": lambda x: x[0, 1], "backwards": lambda x: x[::-1], "T": lambda x: x.T,
    "transpose": lambda x: np.transpose(x, np.array([1, 0])), "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1), "rollaxis": lambda x: np.rollaxis(x, 1), "flipud": np.flipud,
    "expand_dims": lambda x: np.expand_dims(x, 0), "squeeze": lambda x: np.squeeze(x[None], axis=(0,)),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4)), "diagonal": np.diagonal, "ravel": np.ravel,
    "reshape": lambda x: np.reshape(x, -1), "reshape by array": lambda x: np.reshape(x, np.array([4, 3])),
    "reshape shape=": lambda x: np.reshape(x, shape=(4, 3)),
    "reshape order None": lambda x: np.reshape(x, (4, 3), order=None), "ravel None": lambda x: np.ravel(x, None),
    "split": lambda x: np.split(x, 2, axis=-1)[1], "array_split": lambda x: np.array_split(x, 2)[1],
    # arguments that only NumPy has
    "argsort order": lambda x: np.argsort(x, -1, None, None), "sum where": lambda x: np.sum(x, where=True),
    "argsort quicksort": lambda x: np.argsort(x, kind="quicksort"), "sum initial": lambda x: np.sum(x, initial=0.0),
    "max where": lambda x: np.max(x, where=True, initial=0), "astype casting": lambda x: x.astype(int, "K", "unsafe"),
    "astype subok": lambda x: x.astype(int, subok=True), "eye like": lambda x: np.eye(3, like=x),
    "ones like": lambda x: np.ones(3, like=x), "full like": lambda x: np.full(3, 1.0, like=x),
    # functions that only NumPy has
    "block": lambda x: np.block([x, x]), "insert": lambda x: np.insert(x, 0, 1),
    "einsum_path": lambda x: np.einsum_path("ij->i", x),
    # what is beside it
    "foreign": lambda x: x * Foreign(), "foreign first": lambda x: np.add(Foreign(), x),
    "searchsorted": lambda x: np.searchsorted(np.arange(3.0), x), "set": lambda x: x.__setitem__(0, np.zeros(4)),
    "take_along float": lambda x: np.take_along_axis(x, x, 0),
    # ufuncs in other ways
    "multiply.at": lambda x: np.multiply.at(x, np.array([0]), 2.0), "reduce": lambda x: np.maximum.reduce(x),
}
COMPUTED = {  # which CuPy takes, so that only a GPU is missing, and so does the double
    "arange like": lambda x: np.arange(3, like=x), "tri like": lambda x: np.tri(3, dtype=bool, like=x),
    "zeros like": lambda x: np.zeros(3, bool, like=x), "array like": lambda x: np.array([1.0], like=x),
    "zeros_like shape": lambda x: np.zeros_like(x, shape=(2,)), "flatnonzero": np.flatnonzero,
    "ones_like": lambda x: np.ones_like(x, dtype=bool, shape=(2,)), "logaddexp": lambda x: np.logaddexp(0, x),
    "square dtype": lambda x: np.square(x, dtype=np.float64), "sum dtype": lambda x: np.sum(x, dtype=np.float64),
    "where": lambda x: np.where(x > 0, 1, -1), "pad": lambda x: np.pad(x, ((0, 0), (0, 2))),
    "roll": lambda x: np.roll(x, -1, axis=1), "cumsum": lambda x: np.cumsum(x, axis=1),
    "keepdims": lambda x: np.max(x, axis=-1, keepdims=True), "mean": lambda x: np.mean(x, axis=(0, 1)),
    "stack": lambda x: np.stack([x, x], axis=1), "list index": lambda x: x[[0, 1]], "power": lambda x: x**2,
    "einsum": lambda x: np.einsum("...d,...d->...", x, x), "set": lambda x: x.__setitem__(0, 1.0),
    "host index": lambda x: x[np.array([0, 1])], "bool": lambda x: bool(x[0, 0]), "get": lambda x: x.get(),
}


def outcome(question, x):
    """The kind of error, "computed", or what came out: shape and dtype of an array on the device."""
    try:
        found = question(x)
    except (TypeError, ValueError, IndexError, NotImplementedError) as error:
        return type(error).__name__
    except Exception as error:  # CUDARuntimeError: CuPy went on to the GPU
        assert "cuda" in type(error).__module__, error
        return "computed"
    return (found.shape, found.dtype) if type(found) is type(x) else found


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("name", QUESTIONS)
def test_same_outcome(name):
    assert outcome(QUESTIONS[name], fake()) == outcome(QUESTIONS[name], real()) != "computed"


@pytest.mark.parametrize("name", COMPUTED)
def test_taken_by_both(name):
    """With a GPU in the machine CuPy would compute, at an address that is made up: then there is nothing to ask."""
    try:
        cupy.cuda.runtime.getDeviceCount()
    except RuntimeError:
        assert outcome(COMPUTED[name], real()) == "computed"
        assert not isinstance(outcome(COMPUTED[name], fake()), str)
    else:
        pytest.skip("there is a GPU")


def test_a_view_of_a_class_as_autograds_concatenate_takes_it():
    """Silent nonsense in CuPy, an error in the double."""
    assert real().view(np.ndarray).dtype == object
    with pytest.raises((TypeError, ValueError)):
        fake().view(np.ndarray)
