"""A stand-in for CuPy that needs no GPU: NumPy's arithmetic behind CuPy's manners, after the code of CuPy 14.2.

  * Nothing turns into a NumPy array by itself, and a host array beside a device array is a TypeError.
  * A NumPy function works only if CuPy has one of that name, with CuPy's arguments (cupy_signatures.txt).
  * What crosses the bus is counted in `transfers`: to_device, and to_host, for which CuPy also has to wait.
  * `made` counts the arrays that were made by dtype, single numbers left out.
In one way it is stricter: CuPy takes an index that is out of range modulo the size, and here it is an IndexError.
test_device_double.py compares it with CuPy itself, as far as CuPy answers without a GPU.
"""
import inspect
import types
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

transfers, made = Counter(), Counter()
ON_HOST = set("shape ndim size result_type iscomplexobj".split())  # what answers without the device
TAKE_ANYTHING = set("einsum isclose allclose".split())  # CuPy uploads host operands here
NO_UFUNC = set("isnat matvec spacing vecdot vecmat".split())
COMPARISONS = set("greater greater_equal less less_equal equal not_equal".split())
AT = set("add subtract maximum minimum bitwise_and bitwise_or bitwise_xor".split())
OPERANDS = set("prototype a b x y m v A a1 a2 tup ary arys arr array val condition operands indices values".split())
SCALARS = {int, float, bool, complex, *(np.dtype(letter).type for letter in "?bBhHiIlLqQefdFD")}


class FakeArray(NDArrayOperatorsMixin):
    """In place of cupy.ndarray."""
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, host):
        if host.dtype.kind not in "biufc":
            raise ValueError(f"Unsupported dtype {host.dtype}")
        made[host.dtype.name] += host.ndim > 0
        self._host = host

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    T = property(lambda self: wrap(self._host.T))

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. "
                        "Please use `.get()` to construct a NumPy array explicitly.")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        operands = inputs + kwargs.get("out", ())
        if ufunc.__name__ in NO_UFUNC or not all(
                type(x) in SCALARS or isinstance(x, (FakeArray, np.ndarray)) for x in operands):
            return NotImplemented  # np.add.at with a slice as index, for instance
        if set(kwargs) - {"out", "dtype", "casting", "axis", "keepdims"}:
            raise TypeError(f"Wrong arguments {kwargs}")
        if method == "at":
            return add_at(ufunc, *inputs)
        if method != "__call__" and not (ufunc.__name__ in ("add", "multiply") or method == "outer"):
            raise NotImplementedError(f"`{ufunc.__name__}.{method}` is not supported yet")
        if ufunc.__name__ in COMPARISONS:
            inputs = [x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs]
        out = kwargs.pop("out", ())
        found = getattr(ufunc, method)(*map(unwrap, inputs), **kwargs, **({"out": unwrap(out)} if out else {}))
        return out[0] if out else wrap(found)

    def __array_function__(self, func, kinds, args, kwargs):
        ours = getattr(cupy, func.__name__, None)
        if ours is None or not all(issubclass(kind, (FakeArray, np.ndarray)) for kind in kinds):
            return NotImplemented
        return ours(*args, **kwargs)

    def __getitem__(self, index):
        return wrap(self._host[unwrap_index(index)])

    def __setitem__(self, index, value):
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        self._host[unwrap_index(index)] = value._host if isinstance(value, FakeArray) else value

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def get(self):
        transfers["to_host"] += 1
        return self._host.copy()

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported yet")
        return wrap(self._host.astype(dtype, order=order, copy=copy))

    def view(self, dtype=None):
        return wrap(self._host.view(np.dtype(dtype or self.dtype)))  # never of a class

    def reshape(self, *shape, order="C"):
        return cupy.reshape(self, shape[0] if len(shape) == 1 else shape, order)

    def transpose(self, *axes):
        return wrap(self._host.transpose(*axes))

    def copy(self):
        return wrap(self._host.copy())

    def item(self):
        return self.get().item()

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __bool__(self):
        return bool(self.get())

    def __repr__(self):
        return repr(self.get())


def method(name):
    """The method of an array that does what CuPy's function of that name does."""
    return lambda self, *args, **kwargs: getattr(cupy, name)(self, *args, **kwargs)


for _name in ("sum mean var std max min prod all any argmax argmin argsort cumsum ravel swapaxes squeeze dot clip "
              "take").split():
    setattr(FakeArray, _name, method(_name))


def wrap(found):
    """NumPy's result as the device's."""
    return type(found)(map(wrap, found)) if isinstance(found, (list, tuple)) else FakeArray(np.asarray(found))


def unwrap(x):
    """A device array or a scalar for NumPy. Raises TypeError for a host array."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(unwrap, x))
    if isinstance(x, FakeArray):
        return x._host
    if type(x) in SCALARS:
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def lifted(x):
    """As unwrap, but a host array or a list is uploaded."""
    return asarray(x)._host if isinstance(x, (np.ndarray, list)) else unwrap(x)


def unwrap_index(index):
    """An index for NumPy. A boolean one makes CuPy wait for the number of its entries."""
    if isinstance(index, tuple):
        return tuple(map(unwrap_index, index))
    if isinstance(index, FakeArray):
        transfers["to_host"] += index.dtype == bool
        return index._host
    return lifted(index) if isinstance(index, (np.ndarray, list)) else index


def add_at(ufunc, a, index, b=None):
    """ufunc.at in place."""
    if ufunc.__name__ not in AT:
        raise NotImplementedError(f"`{ufunc.__name__}.at` is not supported yet")
    ufunc.at(a._host, unwrap_index(index), unwrap(b))


def refuse(name, given):
    """What CuPy refuses although its signature has it. given {parameter: argument}."""
    if name in ("sort", "argsort") and given.get("kind") not in (None, "stable"):
        raise ValueError("kind: only None or 'stable'")
    if name in ("reshape", "ravel") and given.get("order", "C") is None:
        raise TypeError("object of type 'NoneType' has no len()")
    if name == "where" and not isinstance(given["condition"], FakeArray):
        raise TypeError("where: the condition must be a device array")
    if name in ("concatenate", "stack") and not all(isinstance(x, FakeArray) for x in given["tup"]):
        raise TypeError("Only cupy arrays can be concatenated")
    if name == "searchsorted" and not isinstance(given["a"], FakeArray):
        raise NotImplementedError("Only int or ndarray are supported for a")


def mimic(name, signature):
    """cupy.<name>: CuPy's arguments and strictness, NumPy's arithmetic."""
    convert = lifted if name in TAKE_ANYTHING else unwrap

    def for_numpy(parameter, x):
        if parameter in ("operands", "arrays_and_dtypes"):  # texts and dtypes among arrays
            return tuple(convert(part) if isinstance(part, (FakeArray, np.ndarray)) else part for part in x)
        return convert(x) if parameter in OPERANDS or isinstance(x, FakeArray) else x

    def function(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)  # TypeError for arguments that only NumPy has
        refuse(name, bound.arguments)
        transfers["to_host"] += name in ("nonzero", "flatnonzero")  # the shape of the result hangs on the numbers
        for parameter, x in bound.arguments.items():
            bound.arguments[parameter] = for_numpy(parameter, x)
        given = {key: x for key, x in bound.kwargs.items() if x is not None or key == "axis"}
        if name == "reshape" and "order" in bound.arguments:  # NumPy 2.1.0 takes it by name alone
            given["order"] = bound.arguments.pop("order")
        found = getattr(np, name)(*bound.args, **given)
        return found if name in ON_HOST else wrap(found)

    function.__name__, function.__signature__ = name, signature
    return function


def asarray(a, dtype=None):
    if isinstance(a, FakeArray):
        return a if dtype is None else a.astype(dtype)
    if isinstance(a, (list, tuple)) and any(isinstance(x, FakeArray) for x in a):
        return cupy.stack([asarray(x) for x in a])
    transfers["to_device"] += 1
    return FakeArray(np.array(a, dtype=dtype))


def array(obj, dtype=None, copy=True, ndmin=0):
    found = asarray(obj, dtype)
    return found.copy() if found is obj else found


def signature_of(line):
    """"sum(a, axis=None)" -> ("sum", its inspect.Signature)."""
    name, _, parameters = line.partition("(")
    return name, inspect.signature(eval("lambda " + parameters.removesuffix(")") + ": 0"))


SIGNATURES = dict(map(signature_of, Path(__file__).with_name("cupy_signatures.txt").read_text().splitlines()))
cupy = types.SimpleNamespace(
    ndarray=FakeArray, asarray=asarray, array=array,
    add=types.SimpleNamespace(at=lambda a, index, b: add_at(np.add, a, index, b)),
    **{name: mimic(name, signature) for name, signature in SIGNATURES.items()})
