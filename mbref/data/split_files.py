"""Files of fixed splits: training lists, held-out targets and negatives that others have drawn."""
import numpy as np

from mbref.data.arrays import read_arrays
from mbref.data.log import Log
from mbref.data.sequences import NO_NPZ
from mbref.errors import MOST, InputError

# kinds and number of axes of each array that is read
LISTS = {"tr_item": ("iu", 1), "tr_beh": ("iu", 1), "ptr": ("iu", 1), "target": ("iu", 1),
         "usernum": ("iu", 0), "itemnum": ("iu", 0), "neg_clean": ("iu", 3),
         "neg_release": ("iu", 3)}
EVENTS = {"item": ("iu", 1), "time": ("iuf", 1), "ptr": ("iu", 1), "neg": ("iu", 1),
          "cate": ("iu", 1), "test_neg100": ("iu", 2)}
SHOP = ("buy", "cart", "fav", "pv")


def read_training_lists(path):
    """A file of training lists (`tr_item tr_beh ptr`) and targets, which go last.

    Behaviours 0..3 are buy, cart, fav, pv. `leave_one_out` on it holds out exactly the file's
    targets and cuts its validation from the training lists. -> (Log, {"neg_clean": [sets, users,
    99], "neg_release": the same}). Raises InputError if the file is no such split.
    """
    try:
        file = read_lists(path, LISTS, "tr_item", 0)
        items, ptr, negatives = file["itemnum"], file["ptr"], ("neg_clean", "neg_release")
        require_equal(file["usernum"], len(file["target"]), len(ptr) - 1,
                      *(file[name].shape[1] for name in negatives))
        require_equal(len(file["tr_item"]), len(file["tr_beh"]))
        require_within(file, 1, MOST, "itemnum")
        require_within(file, 1, items, "tr_item", "target")
        require_within(file, 0, items, *negatives)  # 0 = none was left
        require_within(file, 0, 3, "tr_beh")
    except NO_NPZ as error:
        raise InputError(f"{path} is no split file ({error}): "
                         "give .npz with tr_item, tr_beh, ptr, target.") from error
    users = np.arange(1, len(ptr))
    user = np.append(np.repeat(users, np.diff(ptr)), users)
    order = np.argsort(user, kind="stable")  # a user's target goes last
    item = np.append(file["tr_item"], file["target"])[order]
    behaviour = np.append(file["tr_beh"] + 1, np.ones_like(users))[order]
    ids = [np.arange(size + 1).astype(str) for size in (len(users), items)]
    log = Log(user[order], item, behaviour, None, None, *ids, None, SHOP, ())
    return log, {name: file[name] for name in negatives}


def read_event_lists(path):
    """A file of event lists with a negative an event (`item time ptr neg cate`).

    -> (Log, negative [n] of each event, {"1 fixed": [U, 1], "100 fixed": [U, 100]} of each user's
    last event). Raises InputError if the file is no such split.
    """
    try:
        file = read_lists(path, EVENTS, "item", 1)
        item, time, ptr, negative, category, more = (file[name] for name in EVENTS)
        require_equal(len(item), len(time), len(negative))
        require_equal(len(more), len(ptr) - 1)
        require_within(file, 0, len(category) - 1, "item", "neg", "test_neg100")
        require_within(file, 0, MOST, "cate")
        require_within(file, 0, 2**53, "time")
    except NO_NPZ as error:
        raise InputError(f"{path} is no split file ({error}): "
                         "give .npz with item, time, ptr, neg, cate.") from error
    user = np.repeat(np.arange(1, len(ptr)), np.diff(ptr))
    sizes = len(ptr) - 1, len(category), category.max() + 1
    ids = [np.append("", np.arange(size).astype(str)) for size in sizes]
    log = Log(user, item + 1, np.ones_like(item), time, category[item] + 1, *ids, ("event",), ())
    one = negative[ptr[1:] - 1][:, None] + 1
    return log, negative + 1, {"1 fixed": one, "100 fixed": more + 1}


def read_lists(path, declared, rows, least):
    """The declared arrays, whole numbers as int64. Raises ValueError as read_arrays.

    `ptr` must cut the array `rows` into lists of at least `least` each.
    """
    file = {name: a if a.dtype.kind == "f" else a.astype(np.int64)
            for name, a in read_arrays(path, declared).items()}
    ptr = file["ptr"]
    if not len(ptr) > 1 or ptr[0] != 0 or np.diff(ptr).min() < least:
        raise ValueError("ptr does not cut it into lists")
    require_equal(ptr[-1], len(file[rows]))
    return file


def require_within(file, least, most, *names):
    """Raise ValueError unless all numbers of these arrays lie in least .. most; nan does not."""
    for name in names:
        if not np.all((file[name] >= least) & (file[name] <= most)):
            raise ValueError(f"{name} must hold numbers of {least} to {most}")


def require_equal(*lengths):
    """Raise ValueError unless all are the same."""
    if len({int(length) for length in lengths}) > 1:
        raise ValueError("its columns have different lengths")


def with_negatives(split, log, negative):
    """A leave-one-out split of any events with fixed negatives [n] of them."""
    from_end = np.searchsorted(log.user, log.user, side="right") - np.arange(len(log.user))  # 1..
    return split._replace(train=split.train._replace(negative=negative[from_end > 2]),
                          refit=split.refit._replace(negative=negative[from_end > 1]))
