"""What sets the folders of ATRank's release apart: one record of sizes and switches for atrank.py.

Source: github.com/jinze1994/ATRank @ 2031fd1, folders atrank/, cnn/, rnn/, rnn_att/, bpr/ and
multi/.
"""
from dataclasses import dataclass

from mbref.errors import require, require_choice


@dataclass(frozen=True)
class Config:
    """Shapes and switches; the defaults are those of atrank/."""
    tables: tuple                      # (feature, number of ids, width) of every embedding table
    groups: tuple = (("item", "category"),)  # features of each group's objects, itself first
    actions: tuple = (False,)          # whether events of a group carry an action too
    read: tuple = (0,)                 # groups whose histories are read
    net: str = "att"                   # att, cnn, rnn, rna (rnn with attention), mf (a table)
    width: int = 128                   # D; 128, in multi/ 256
    heads: int = 8                     # 8, in multi/ 4
    blocks: int = 1                    # steps (5) and (6) stacked this often; 1  # Deviation D13: 1
    dropout: float = 0.0               # of weights, cnn's pool  # Deviation D11: in multi/ .1
    penalty: float = 5e-5              # L2 on user vector and target in (7); in multi/ 1e-5
    time: bool = True                  # False: events are their objects' embeddings alone
    query: str = "raw"                 # (6): the target is its embedding, or through its "group"
    sizes: int = 10                    # of cnn: filters span 1 .. sizes events
    filters: int = 32                  # of cnn: so many of each size
    padded: int = 500                  # of cnn: histories are padded to this length
    last: bool = True                  # of cnn: a linear layer after the pooled features
    unit: int = 86400                  # seconds in one unit of time gap: a day

    def __post_init__(self):
        require_choice(self, net=("att", "cnn", "rnn", "rna", "mf"), query=("raw", "group"))
        require(len(self.actions) == len(self.groups)
                and set(self.read) <= set(range(len(self.groups))),
                "give one switch of actions a group, and read only groups that are given.")
        require(len(self.read) == (self.net != "mf") or self.net == "att" and len(self.read) > 1,
                "read one group; mf reads none, and att may read several.")
        require(min(self.heads, self.blocks, self.sizes, self.filters, self.padded, self.unit) >= 1,
                "heads, blocks, sizes, filters, padded and unit must be at least 1.")
        require(self.net != "att" or self.width % self.heads == 0 and self.width >= 4,
                "width must be a multiple of heads, at least 4.")
        require(self.net != "cnn" or self.last or self.width == self.sizes * self.filters,
                "width must be sizes times filters where no layer follows the pooled features.")
        for features in (*self.groups * (self.query == "raw"), *[("user",)] * (self.net == "mf")):
            require(self.width == sum(width for name, _, width in self.tables if name in features),
                    f"embeddings of {' and '.join(features)} must be {self.width} wide together, "
                    "or query=group.")
        require(0 <= self.dropout < 1 and 0 <= self.penalty < float("inf"),
                "dropout must be at least 0 and less than 1, penalty a number of 0 or more.")


VARIANTS = {  # what sets a folder apart from atrank/
    "atrank": {},
    "cnn": {"net": "cnn"},
    "rnn": {"net": "rnn", "time": False},
    "rnn_att": {"net": "rna", "time": False},
    "bpr": {"net": "mf", "time": False, "read": ()},
    "multi": {"groups": (("item", "shop", "category", "brand"), ("query",),
                         ("coupon", "shop", "category")),
              "actions": (True, False, False), "read": (0, 1, 2), "query": "group", "width": 256,
              "heads": 4,
              # Deviation D6, D7: actions and layers
              "dropout": 0.1, "penalty": 1e-5, "sizes": 8, "padded": 30, "last": False},
}


def variant(name, **more):
    """Config of a folder of the release; tables must be among what else is given."""
    return Config(**VARIANTS[name] | more)
