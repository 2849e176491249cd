"""CPU or GPU: move the arrays, change nothing else.

    params, batch = to_device((params, batch), "cuda")
    loss, grads = value_and_grad(model.loss)(params, batch, config)

NumPy's functions on CuPy arrays run CuPy's (NEP 13, 18), and those that make an array make it there
with `like=` (NEP 35), so models need no branch. autograd_rules.py adds what autograd lacks, by
names that are not public: so autograd is pinned, to 1.9.1.
"""
import numpy as np
from autograd.tracer import getval

from mbref.errors import InputError, require

NAMES = ("cpu", "cuda")           # what a user can ask for
MODULES = {"cpu": np}             # device -> its NumPy-like module; "cuda" joins when asked for
ARRAYS = {np.ndarray: "cpu"}      # array type -> device


def to_device(tree, device):
    """Every array in nested dicts, lists and tuples on `device`, "cpu" or "cuda".

    What is there already is not copied. Numbers, texts and None stay as they are. Raises InputError
    for another device, or if there is no usable GPU.
    """
    open_device(device)

    def move(x):
        if isinstance(x, dict):
            return {name: move(part) for name, part in x.items()}
        if isinstance(x, (list, tuple)):
            return type(x)(*map(move, x)) if hasattr(x, "_fields") else type(x)(map(move, x))
        if ARRAYS.get(type(x), device) == device:
            return x
        return x.get() if device == "cpu" else MODULES[device].asarray(x)

    return move(tree)


def beside(x, host_array):
    """`host_array` where the array x is: for what only the host can make, as random numbers."""
    return to_device(host_array, device_of(x))


def device_of(tree):
    """The device of the first array in nested dicts and lists."""
    while isinstance(tree, (dict, list)):
        tree = next(iter(tree.values() if isinstance(tree, dict) else tree))
    return ARRAYS.get(type(getval(tree)), "cpu")


def open_device(name):
    """Make a device ready for use. Raises InputError with what to do where that cannot be."""
    require(name in (*NAMES, *MODULES), f"device is {name!r}: choose one of {', '.join(NAMES)}.")
    if name not in MODULES:
        add_device(name, import_cupy())


def add_device(name, xp):
    """From now on `name` is a device of arrays xp.ndarray, which autograd differentiates."""
    from mbref.nn import autograd_rules as device_rules

    device_rules.add(xp)
    MODULES[name], ARRAYS[xp.ndarray] = xp, name


def import_cupy():
    """CuPy, tried out. Raises InputError if it is missing, or CUDA's libraries, or a GPU."""
    try:
        import cupy
    except ImportError as error:
        raise InputError(f'device cuda needs CuPy ({error}): pip install "mbref[cuda]", '
                         "or use device cpu.") from error
    try:
        cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:
        raise InputError(f"CuPy {cupy.__version__} finds no usable GPU ({error}): "
                         "see what nvidia-smi says, or use device cpu.") from error
    try:
        cupy.ones((2, 2)) @ cupy.ones((2, 2))
    except Exception as error:  # ImportError, OSError or CUDA's own, by what is missing
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"CuPy {cupy.__version__} cannot compute ({reason}): "
                         'pip install "mbref[cuda]" brings the libraries of CUDA, '
                         "or use device cpu.") from error
    return cupy
