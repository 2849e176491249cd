"""What somebody who imports mbref may give wrongly: one sentence that names it; what is right in another dress is right."""
from dataclasses import MISSING, FrozenInstanceError, fields
from functools import partial

import numpy as np
import pytest

from mbref import evaluation, metrics, runs, training
from mbref.baselines import bpr_mf
from mbref.data.leave_one_out import leave_one_out
from mbref.data.negatives import negatives_of_user
from mbref.data.readers import read, read_table
from mbref.data.sessions import session_split
from mbref.errors import InputError
from mbref.tables.recommend import recommend
from tests.test_cli import call, files

WRONG = ("7", None, 2.5, float("nan"), True, [1, 2], -3, {}, "text\n", 10**30, ("a",), {"a"})
TASK = dict(data="log.csv", format="taobao", target="buy")
KINDS = {"Settings": (training.Settings, {}), "Task": (runs.Task, TASK),
         **{name: (model.Config, None) for name, model in runs.MODELS.items()},
         **{f"{name} variants": (model.Config, None) for name, model in runs.VARIANTS.items()}}


def needs(kind):
    """Values of the fields that have no default."""
    given = {field.name: 4 for field in fields(kind) if field.default is MISSING}
    return given | ({"items": 5} if "tables" in {field.name for field in fields(kind)} else {})


def is_of(value, kind):
    kinds = {float: (int, float)}.get(kind, getattr(kind, "__origin__", kind))
    return isinstance(value, kinds) and (kind is bool or value is not True)


@pytest.mark.parametrize("name", KINDS)
def test_a_setting_of_another_type(name):
    """Never anything but InputError, and InputError for all that is of another type."""
    kind, given = KINDS[name]
    given = needs(kind) if given is None else given
    kind(**given)
    for field in fields(kind):
        for value in WRONG:
            if field.type is tuple and isinstance(value, tuple):
                continue  # what stands in a tuple of any kind is not looked at
            try:
                kind(**{**given, field.name: value})
                assert is_of(value, field.type), (field.name, value)
            except InputError as error:
                assert field.name in str(error) or is_of(value, field.type), (field.name, value, error)


def test_all_items_cannot_be_cold():
    assert runs.Task(**TASK, cold=0.99).cold == 0.99
    with pytest.raises(InputError, match="cold is 1.0: it must be less than 1"):
        runs.Task(**TASK, cold=1.0)


def test_a_setting_may_be_a_number_of_numpy(tmp_path):
    config = bpr_mf.Config(items=np.int64(5), users=np.int32(3), width=4, penalty=np.float32(0.5))
    settings = training.Settings(steps=np.int64(2), rate=np.float32(0.25))
    state = training.begin(bpr_mf, config, settings)
    training.save_checkpoint(tmp_path / "a.npz", state, config, settings)
    plain = bpr_mf.Config(items=5, users=3, width=4, penalty=0.5)
    found = training.load_checkpoint(tmp_path / "a.npz", bpr_mf, plain, training.Settings(steps=2, rate=0.25))
    assert found.params["item"].tobytes() == state.params["item"].tobytes()


@pytest.mark.parametrize("items, seen, m", [
    (5, [np.nan], 2), (5, [1.0], 2), (5, "12", 2), (5, [6], 2), (5, [-1], 2), (5, [1], 2.5), (5, [1], -1), (5.0, [1], 2),
    (-1, [], 2), (5, [None], 2), (5, [2**70], 2)])
def test_what_is_no_count_or_no_id(items, seen, m):
    with pytest.raises(InputError, match="seen must hold ids"):
        negatives_of_user(np.random.default_rng(0), items, seen, m)


@pytest.mark.parametrize("kind", ["u1", ">i4", "i8", "u8"])
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_ids_of_any_kind_and_any_generator(kind, bits):
    seen = np.array([1, 3], kind)
    seen.setflags(write=False)
    found = [negatives_of_user(np.random.Generator(bits(7)), np.int32(5), seen, 4) for seen in (seen, {1, 3}, (1, 3, 0))]
    assert all(sorted(one[:3]) == [2, 4, 5] and one[3] == 0 and one.dtype == np.int64 for one in found)
    assert all((one == found[0]).all() for one in found)


def test_what_draws_no_numbers():
    """rng=None, a seed, a RandomState: none is a Generator."""
    for rng in (None, 7, np.random.RandomState(0)):
        with pytest.raises(InputError, match="^rng is .*: give a Generator"):
            negatives_of_user(rng, 5, [1], 2)
        with pytest.raises(InputError, match="^rng is .*: give a Generator"):
            metrics.paired_bootstrap([1.0], [0.0], rng)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name][1] is None])
def test_parameters_that_are_drawn_from_no_generator(name):
    """Of a paper, a variant or a baseline."""
    config = KINDS[name][0](**needs(KINDS[name][0]))
    model = (runs.VARIANTS if name.endswith(" variants") else runs.MODELS)[name.removesuffix(" variants")]
    for rng in (None, 7):
        with pytest.raises(InputError, match=f"^rng is {rng}: give a Generator"):
            model.init(rng, config)


@pytest.mark.parametrize("kind", [runs.Task, training.Settings, *(
    model.Config for model in (*runs.MODELS.values(), *runs.VARIANTS.values()))])
def test_what_a_run_was_asked_does_not_change(kind):
    field = fields(kind)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(object.__new__(kind), field, 1)


@pytest.mark.parametrize("n", [0, 2.5, "9", None, float("nan")])
def test_a_number_of_resamples_that_is_no_count(n):
    with pytest.raises(InputError, match="^n must be a whole number"):
        metrics.paired_bootstrap([1.0], [0.0], np.random.default_rng(0), n)


@pytest.mark.parametrize("field, wrong, sentence", [
    ("user", 0, "user .* of 1 to 5"), ("user", 6, "user .* of 1 to 5"), ("item", 0, "item .* of 1 to 6"),
    ("item", 7, "item .* of 1 to 6"), ("behaviour", 0, "behaviour .* of 1 to 2"), ("behaviour", 3, "behaviour .* of 1 to 2"),
    ("category", -1, "category .* of 0 to 1"), ("category", 2, "category .* of 0 to 1")])
def test_a_log_made_by_hand_with_numbers_that_have_no_names(path, field, wrong, sentence):
    log = read_table(path, COLUMNS, header=False)
    log = log._replace(category=np.arange(len(log.user)) % 2, categories=np.array(["", "a"]))
    leave_one_out(log, "buy")
    column = getattr(log, field).copy()
    column[3] = wrong
    for split in (partial(leave_one_out, target="buy"), session_split):
        with pytest.raises(InputError, match=f"^{sentence}, which have names"):
            split(log._replace(**{field: column}))
        with pytest.raises(InputError, match="^category of the log must be numbers of 0 to -1, which have names"):
            split(log._replace(categories=None))


@pytest.mark.parametrize("given, sentence", [
    ({"tables": ("item", 5)}, "tables is"), ({"tables": (("item",),)}, "tables is"), ({"tables": (("item", 5, 4),)}, "tables is"),
    ({"tables": ((5, "item"),)}, "tables is"), ({"tables": (("item", 2.5),)}, "tables is"), ({"tables": ("ab",)}, "tables is"),
    ({"tables": (("item", 5),), "groups": (("item", "shop"),)}, "groups is"), ({"items": 5, "groups": ("item",)}, "groups is"),
    ({"tables": (("item", 5),), "groups": (("item",), ("shop",))}, "groups is"),
    ({"tables": (("item", 5), ("shop",))}, "tables is"),
    ({"tables": (5,)}, "tables is"), ({"items": 5, "groups": (5,)}, "groups is")])
def test_tables_and_groups_that_are_none(given, sentence):
    for model in (runs.MODELS["atrank"], runs.VARIANTS["atrank"]):
        with pytest.raises(InputError, match=f"^{sentence} .*: give"):
            model.Config(**given)


@pytest.fixture
def path(tmp_path):
    rows = [f"{u},{i},{'buy' if (u + i) % 2 else 'pv'},{100 * i}\n" for u in range(1, 6) for i in range(1, 7)]
    (tmp_path / "log.csv").write_text("".join(rows))
    return tmp_path / "log.csv"


COLUMNS = {"user": 1, "item": 2, "behaviour": 3, "time": 4}


@pytest.mark.parametrize("choices, sentence", [
    ({"sample_users": -1}, "sample_users is -1"), ({"sample_users": 2.5}, "sample_users is 2.5"),
    ({"sample_users": "2"}, "sample_users is '2'"), ({"behaviours": ("buy", 2)}, "behaviours must be a sequence"),
    ({"header": "no"}, "header is .no."), ({"keep_repeats": "no"}, "keep_repeats is .no."), ({"keep_repeats": None}, "keep_repeats is None")])
def test_a_reading_that_cannot_be(path, choices, sentence):
    with pytest.raises(InputError, match=sentence):
        read_table(path, COLUMNS, **{"header": False, **choices})


def test_a_log_that_is_no_path_and_a_format_that_is_no_word(path):
    for value in (None, 5, b"log.csv", [path]):
        with pytest.raises(InputError, match="^path is .*: give that of a file"):
            read_table(value, COLUMNS, header=False)
    for value in (None, ["csv"], {}):
        with pytest.raises(InputError, match="^format .* is unknown"):
            read(path, value)


def test_candidates_and_counts_of_recommendations(path):
    log = read_table(path, COLUMNS, header=False)
    split = leave_one_out(log, "buy")
    config = bpr_mf.Config(items=6, users=5, width=4)
    params = bpr_mf.init(np.random.default_rng(0), config)
    for candidates in ("seen", None, True):
        with pytest.raises(InputError, match="candidates is .*: give all or unseen"):
            evaluation.report(evaluation.item_scorer(bpr_mf, params, config), split.test, 6, candidates)
    task = runs.Task("log.csv", "csv", "buy")
    for k in (0, -1, 2.5, "3", None):
        with pytest.raises(InputError, match="k is .*: give how many items"):
            recommend(bpr_mf, params, config, task, log, "1", k)
    assert len(recommend(bpr_mf, params, config, task, log, np.int64(1), np.int8(9))) == 6


@pytest.mark.trains
def test_a_file_that_is_read_is_not_written(tmp_path, path):
    """By whatever name; a file that a run does not need may be written again."""
    log = ["--data", path, "--format", "csv", "--no-header", "--columns", "user=1,item=2,behaviour=3,time=4", "--target", "buy"]
    run = tmp_path / "run"
    assert call("train", "bpr_mf", *log, "--out", run, "--steps", 2, "--set", "width=4")[0] == 0
    for name in ("mine.py", "known.txt"):
        (tmp_path / name).write_text("# nothing\n")
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "newer.csv").write_text("1,2,buy,900\n")
    whole, every = files(tmp_path), ("recommend", run, "--all-users")
    mine, known = tmp_path / "mine.py", tmp_path / "known.txt"
    for command in ((*every, path), (*every, tmp_path / "link"), (*every, run / "run.json"), (*every, run / "final.npz"),
                    (*every, run / "search.npz"), (*every, tmp_path / "newer.csv", "--data", tmp_path / "newer.csv"),
                    ("check", mine, "--json", tmp_path / "run" / ".." / "mine.py"), ("check", mine, "--junit", mine),
                    ("check", mine, "--xfail", known, "--json", known), ("check", mine, "--xfail", known, "--junit", known),
                    ("check", "--json", tmp_path / "new", "--junit", tmp_path / "new")):
        code, out, err = call(*command)
        assert code == 2 and err.endswith("is read, or written with something else: give another name.\n"), command
    assert files(tmp_path) == whole
    for _ in range(2):
        assert call(*every, run / "best.csv")[0] == 0


def test_a_behaviour_called_any(path):
    path.write_text(path.read_text().replace("pv", "any"))
    log = read_table(path, COLUMNS, header=False)
    assert log.behaviours == ("any", "buy") and len(leave_one_out(log, "buy").test.item) == 5
    with pytest.raises(InputError, match="target any means every event, and this log has a behaviour of that name"):
        leave_one_out(log, "any")
