"""Files of fixed splits: training lists, held-out targets and negatives that others have drawn."""
import numpy as np

from mbref.data.log import Log
from mbref.data.sequences import NO_NPZ
from mbref.errors import InputError


def read_training_lists(path):
    """A file of training lists (`tr_item tr_beh ptr`) and targets, which go last.

    Behaviours 0..3 are buy, cart, fav, pv. `leave_one_out` on it holds out exactly the file's
    targets and cuts its validation from the training lists. -> (Log, {"neg_clean": [sets, users,
    99], "neg_release": the same}). Raises InputError if the file is no such split.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            file = {name: z[name] for name in z.files}
        users = np.arange(1, len(file["ptr"]))
        # the targets go last
        user = np.concatenate([np.repeat(users, np.diff(file["ptr"])), users])
        item = np.append(file["tr_item"], file["target"])
        behaviour = np.append(file["tr_beh"] + 1, np.ones_like(users))
        ids = [np.arange(file[name] + 1).astype(str) for name in ("usernum", "itemnum")]
        negatives = {name: file[name] for name in ("neg_clean", "neg_release")}
        if not len(user) == len(item) == len(behaviour):
            raise ValueError("its columns have different lengths")
    except NO_NPZ as error:
        raise InputError(f"{path} is no split file ({error}): "
                         "give .npz with tr_item, tr_beh, ptr, target.") from error
    order = np.argsort(user, kind="stable")
    shop = ("buy", "cart", "fav", "pv")
    columns = (column[order] for column in (user, item, behaviour))
    return Log(*columns, None, None, *ids, None, shop, ()), negatives


def read_event_lists(path):
    """A file of event lists with a negative an event (`item time ptr neg cate`).

    -> (Log, negative [n] of each event, {"1 fixed": [U, 1], "100 fixed": [U, 100]} of each user's
    last event). Raises InputError if the file is no such split.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            item, time, ptr, negative, category, more = (
                z[name] for name in ("item", "time", "ptr", "neg", "cate", "test_neg100"))
        if not len(item) == len(time) == len(negative) == ptr[-1] or len(more) != len(ptr) - 1:
            raise ValueError("its columns have different lengths")
        user = np.repeat(np.arange(1, len(ptr)), np.diff(ptr))
        sizes = len(ptr) - 1, len(category), category.max() + 1
        ids = [np.append("", np.arange(size).astype(str)) for size in sizes]
        behaviour = np.ones_like(item)
        log = Log(user, item + 1, behaviour, time, category[item] + 1, *ids, ("event",), ())
        one = negative[ptr[1:] - 1][:, None] + 1
    except (*NO_NPZ, IndexError) as error:
        raise InputError(f"{path} is no split file ({error}): "
                         "give .npz with item, time, ptr, neg, cate.") from error
    return log, negative + 1, {"1 fixed": one, "100 fixed": more + 1}


def with_negatives(split, log, negative):
    """A leave-one-out split of any events with fixed negatives [n] of them."""
    # 1 = the user's last
    from_end = np.searchsorted(log.user, log.user, side="right") - np.arange(len(log.user))
    return split._replace(train=split.train._replace(negative=negative[from_end > 2]),
                          refit=split.refit._replace(negative=negative[from_end > 1]))
