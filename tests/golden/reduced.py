"""Tolerances of reduced precision: how far right implementations are off, measured, and a margin.

The ports of tests/crosscheck compute the cases in PyTorch, in bfloat16 and in float32 whose
products read numbers rounded to the 10 bits of TF32, forwards and backwards, as on a graphics
processor. Cases that so few digits cannot hold apart are left out (run.TOO_FINE).
"""
import json
from pathlib import Path

import numpy as np

from mbref.check import casefile, compare, run

FOLDER = Path(__file__).parents[1] / "crosscheck"
FILES = ("layers", "optim", "hmar", "atrank", "dmran", "hiersrec")
STORE = Path(__file__).with_suffix(".json")
MARGIN = 4     # what another order of sums, or another kernel, may add
MOST = 1.0     # a tolerance of the size of the numbers themselves says nothing


def emulate_tf32():
    """A context in which products of torch read 10 bits of their operands, and gradients too."""
    import torch
    from torch.overrides import TorchFunctionMode

    def cut(x):
        return ((x.detach().contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)

    class Cut(torch.autograd.Function):
        """What a product reads."""

        @staticmethod
        def forward(ctx, x):
            return cut(x)

        @staticmethod
        def backward(ctx, g):
            return cut(g)

    products = {torch.matmul, torch.einsum, torch.nn.functional.linear, torch.Tensor.matmul,
                torch.Tensor.__matmul__, torch.Tensor.__rmatmul__,
                torch.nn.functional.scaled_dot_product_attention}

    class Emulation(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function in products:
                args = [Cut.apply(a) if isinstance(a, torch.Tensor) and a.dtype == torch.float32
                        and a.ndim > 1 else a for a in args]
            return function(*args, **kwargs or {})

    return Emulation()


def measure(function, case, dtype):
    """The largest error of a case's arrays, relative to scale, in this dtype."""
    everything = casefile.arrays(case)
    want = {name: a for name, a in casefile.answers(everything, steps=False).items()
            if a.dtype.kind == "f"}
    got = run.compute(case, everything, want, function, "torch", dtype)
    rows = compare.compare(want, got, 1.0, compare.FLOOR[dtype])
    return max((row.times for row in rows), default=0.0)


def measure_all(names=FILES):
    """{component: {dtype: largest error}} of all that is computed in floats."""
    found = {}
    for name in names:
        functions, _ = run.load_implementation(FOLDER / f"{name}_torch.py")
        for case in casefile.cases():
            if case.component in functions and not run.TOO_FINE & set(case.flags):
                one, function = found.setdefault(case.component, {}), functions[case.component]
                for dtype in compare.REDUCED:
                    one[dtype] = max(one.get(dtype, 0.0), measure_in(dtype, function, case))
    return {name: errors for name, errors in found.items() if any(errors.values())}


def measure_in(dtype, function, case):
    """`measure`, where products are those of TF32 if they are to be."""
    if dtype == "tf32":
        with emulate_tf32():
            return measure(function, case, dtype)
    return measure(function, case, dtype)


def tolerances():
    """{component: {dtype: tolerance}} as they are kept, those that say nothing left out."""
    kept = json.loads(STORE.read_text()) if STORE.exists() else {}
    least = compare.TOLERANCE["float32"]  # where nothing is multiplied
    found = {name: {dtype: max(least, float(f"{MARGIN * error:.1e}"))
                    for dtype, error in errors.items() if MARGIN * error < MOST}
             for name, errors in kept.items()}
    return {name: errors for name, errors in found.items() if errors}


def count_caught(faults):
    """How many faults that float64 sees are larger than these tolerances.  -> {dtype: (n, all)}."""
    sized = tolerances()
    counts = {dtype: [0, 0] for dtype in compare.REDUCED}
    for fault in faults:
        for dtype, tolerance in sized.get(fault["component"], {}).items():
            cases = [case for case in casefile.cases(fault["component"] + "/")
                     if case.id in fault["float64"] and not run.TOO_FINE & set(case.flags)]
            counts[dtype][1] += 1
            counts[dtype][0] += any(exceeds(fault["float64"][case.id], case, tolerance, dtype)
                                    for case in cases)
    return {dtype: tuple(pair) for dtype, pair in counts.items()}


def exceeds(errors, case, tolerance, dtype):
    """Is one of a fault's errors larger than the tolerance, and what rounding may take from it?"""
    want = {name: a for name, a in casefile.answers(casefile.arrays(case), steps=False).items()}
    got = {name: np.broadcast_to(np.nan, a.shape) if error is None
           else a + size_of(error) for (name, a), error in zip(want.items(), errors, strict=False)}
    return any(row.times > 2 for row in compare.compare(
        want, got, tolerance, compare.FLOOR[dtype]))


def size_of(error):
    """A fault's error in an array; of whole numbers the first entry."""
    return error[0] if isinstance(error, list) else error


if __name__ == "__main__":
    STORE.write_text(json.dumps({name: {dtype: float(f"{error:.1e}") for dtype, error in one.items()}
                                 for name, one in measure_all().items()}, indent=1) + "\n")
