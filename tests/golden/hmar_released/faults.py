"""Faults of HMAR as released, mostly the form of another model file.  {component: {fault: function}}."""
from dataclasses import replace

from mbref.check.components import hmar_released as right
from mbref.released.hmar import model as hmar
from tests.golden.fault import plant

own_config, own_code = right.config_of, hmar.candidate_code


def switched(**switches):
    """The model with other switches of its file."""
    def config_of(params, inputs):
        config = own_config(params, inputs)
        return replace(config, variant=replace(config.file, **switches))
    return plant(right.released, right, config_of=config_of)


def read(**switches):
    """The model that reads its input in another way."""
    return plant(right.released, right, config_of=lambda *args: replace(own_config(*args), **switches))


def times_root(params, item, counts):
    return own_code(params | {"item": params["item"] * params["item"].shape[1] ** 0.5}, item, counts)


FAULTS = {
    "hmar.released": {
        "masks that hold after the layer norm": read(mask_mode="boolean"),
        "a residual around the behaviours' attention": read(attention_residual=True),
        "behaviour encoder where the file bypasses it": switched(merge="encoder"),
        "behaviour encoder bypassed": switched(merge="bypass"),
        "behaviours' layer norms left out": switched(behaviour_norm=False),
        "behaviours' residuals inside their masks": switched(masked_residual=True),
        "indicator not added once more": switched(indicator_again=False),
        "own input left out of the residual": switched(merged_residual=False),
        "last layer norm left out": switched(final_norm=False),
        "class logits without ReLU": switched(class_relu=False),
        "class loss not weighted by theta": switched(theta=1.0),
        "candidates times sqrt(D)": plant(right.released, hmar, candidate_code=times_root),
    },
}

RIGHT = {}
