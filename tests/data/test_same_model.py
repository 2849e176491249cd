"""The same log in two formats trains the same model, bit for bit."""
import numpy as np
import pytest

from tests.test_cli import call

T = 1_511_848_894
SMALL = ("--steps", 5, "--set", "width=8", "--set", "length=6", "--set", "evaluate_every=5", "--set", "batch_size=8")


def events():
    """[(user, item, category, behaviour, time), ...] in no order."""
    rng = np.random.default_rng(0)
    names = rng.choice(["buy", "pv", "cart", "fav"], 400)
    return [(rng.integers(20), rng.integers(30), 1 + rng.integers(4), name, T + rng.integers(10**6)) for name in names]


def write(path, head, row, rows, end="\n"):
    path.write_text(head + "".join(row.format(*fields) + end for fields in rows))
    return path


def train(folder, name, path, *more):
    code, out, error = call("train", "hmar", "--data", path, "--out", folder / name, *more, *SMALL)
    assert code == 0, error
    with np.load(folder / name / "final.npz") as file:
        return {array: file[array] for array in file.files if file[array].dtype.kind == "f"}


def assert_same(one, other):
    assert one.keys() == other.keys() and len(one) > 10
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name


@pytest.mark.trains
def test_taobao_and_any_table(tmp_path):
    rows = events()
    one = write(tmp_path / "UserBehavior.csv", "", "{0},{1},{2},{3},{4}", rows)
    rows = [(*row, f"{np.datetime64(int(row[4]), 's')}Z") for row in rows]
    other = write(tmp_path / "shop.csv", "when;did;what;kind;note;who\n", '{5};{3};"{1}";{2};a b;{0}', rows, "\r\n")
    columns = "user=who,item=what,time=when,behaviour=did,category=kind"
    assert_same(train(tmp_path, "one", one, "--format", "taobao", "--target", "buy"),
                train(tmp_path, "other", other, "--format", "csv", "--target", "buy", "--columns", columns,
                      "--behaviours", "buy,cart,fav,pv"))


@pytest.mark.trains
def test_movielens_and_recbole(tmp_path):
    rows = [(user, item, 1 + int(category), "", time) for user, item, category, _, time in events()]
    one = write(tmp_path / "ratings.dat", "", "{0}::{1}::{2}::{4}", rows)
    head = "timestamp:float\tuser_id:token\trating:float\titem_id:token\n"
    other = write(tmp_path / "x.inter", head, "{4}.0\t{0}\t{2}\t{1}", rows)
    assert_same(train(tmp_path, "one", one, "--format", "movielens", "--target", "pos"),
                train(tmp_path, "other", other, "--format", "recbole", "--target", "pos"))
