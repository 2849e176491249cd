"""Small implementations for the tests of the kit, and the command that checks them."""
from mbref.__main__ import main

LAYER_NORM = """
def layers_layer_norm(params, inputs, tap):
    x = inputs["x"]
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred ** 2, axis=-1, keepdims=True)
    return {"y": params["gamma"] * centred / np.sqrt(variance + inputs["eps"]) + params["beta"]}
"""
CAUSAL = """
def masks_causal(params, inputs, tap):
    return {"mask": np.tri(inputs["ids"].shape[1]) > 0}
"""


def run_check(capsys, *arguments, fresh=False):
    """Exit code and what was printed; fresh: of fresh cases, too, where arguments do not say."""
    said = fresh or {"--fresh", "--count", "--results", "--summary"} & set(arguments)
    has_file = any(argument.endswith(".py") for argument in arguments)
    code = main(["check", *arguments, *(["--count", "0"] if has_file and not said else [])])
    printed = capsys.readouterr()
    return code, printed.out + printed.err
