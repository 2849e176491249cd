"""python -m mbref as its user meets it: train, evaluate, recommend, Ctrl-C and resume, one sentence for every fault."""
import argparse
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import mbref
from mbref import options, runs, training
from mbref.__main__ import cut_values, main, set_blas_threads
from mbref.data import sequences
from mbref.data.options import fraction, natural, positive, seconds
from mbref.errors import MOST
from mbref.tables.recommend import recommend
from mbref.worlds import last

pytestmark = pytest.mark.trains
ROOT = Path(__file__).parents[1]
USERS, ITEMS = ("17", "4", "230", "x9"), ("500", "60", "7", "81", "9")
SMALL = ("--set", "width=4", "--set", "length=5", "--set", "evaluate_every=2", "--set", "batch_size=4")


def write_log(path, users=USERS, items=ITEMS):
    """Each user views the items in turn from another start and buys every second one; a cart, no fav."""
    rows, t = [], 1_511_539_200
    for u, user in enumerate(users):
        for at in range(6):
            item = items[(u + at) % len(items)]
            for name in ("pv", "buy") if at % 2 else ("pv", "cart"):
                t += 1
                rows.append(f"{user},{item},3,{name},{t}\n")
    path.write_text("".join(rows))
    return path


def call(*arguments):
    """Run the command line in this process.  -> (exit code, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(a) for a in arguments])
    return code, out.getvalue(), err.getvalue()


def task(path, target="buy"):
    return ("--data", path, "--format", "taobao", "--target", target)


def train(out, data, *more):
    return call("train", "--out", out, *task(data), "--steps", 6, *SMALL, *more)


def refused(*arguments):
    """The one sentence of a call that must fail; `train` may have told by then what the log holds."""
    code, out, err = call(*arguments)
    assert code == 2 and all(" events, " in line or line.startswith("note: ") for line in out.splitlines())
    assert err.startswith("mbref: ") and err.count("\n") == 1 and err.endswith("\n") and "Traceback" not in err
    return err


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def arrays(path):
    with np.load(path) as z:
        return {name: z[name].tobytes() for name in z.files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a log and a finished run on it; tests that change something take a copy."""
    folder = tmp_path_factory.mktemp("finished")
    code, _, _ = train(folder / "run", write_log(folder / "log.csv"))
    assert code == 0
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run whose log is in the same folder as the copy."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    about["task"]["data"] = str(tmp_path / "log.csv")
    (tmp_path / "run" / "run.json").write_text(json.dumps(about))
    return tmp_path


# What works.

def test_train_evaluate_recommend(tmp_path):
    data = write_log(tmp_path / "log.csv")
    code, out, _ = train(tmp_path / "run", data)
    assert code == 0
    assert "48 events, 4 users, 5 items, behaviours buy, cart, fav, pv" in out
    assert "4 validation and 4 test events" in out and f"evaluate {tmp_path / 'run'}" in out
    assert sorted(files(tmp_path / "run")) == ["final.npz", "run.json", "search.npz"]

    code, out, err = call("evaluate", tmp_path / "run")
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == "note: for 4 test events fewer negatives could be drawn than the columns say"
    rows = {line[:25].strip(): line[25:].split() for line in out.splitlines()[3:]}
    assert list(rows) == ["random", "popularity, events", "popularity, users", "co-occurrence, last item",
                          "co-occurrence, last 10", "co-occurrence, popularity", "seen before", "category recency",
                          "this run"]
    # Five items, all tied: the rank is 1 to 5 with equal chance.
    assert rows["random"][:2] == ["1.000", f"{np.mean(1 / np.log2(np.arange(2, 7))):.3f}"]
    assert rows["random"][-1] == "1.000"
    assert all(len(numbers) == 5 and all(0 <= float(x) <= 1 for x in numbers) for numbers in rows.values())

    code, out, err = call("recommend", tmp_path / "run", "--user", "x9", "-k", 3)
    assert (code, err) == (0, "")
    lines = out.splitlines()[:-1]
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert {line.split()[1] for line in lines} <= set(ITEMS)
    scores = [float(line.split()[2]) for line in lines]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("model", ["hmar", "bpr_mf"])
def test_recommendations_are_the_scores_of_the_whole_log_and_name_the_users_own_items(tmp_path, model):
    users, items = ("17", "4"), (*ITEMS, "1000", "2000")
    data = write_log(tmp_path / "log.csv", users, items)
    assert call("train", model, "--out", tmp_path / "run", *task(data), "--steps", 6, *SMALL)[0] == 0
    net, params, config, kind, log, _ = runs.open_run(tmp_path / "run")
    for user in users:
        history = [line.split(",") for line in data.read_text().splitlines() if line.startswith(f"{user},")]
        window = [(item, name) for _, item, _, name, _ in history][-5:]
        found = recommend(net, params, config, kind, log, user, 99)
        assert sorted(item for item, _, _ in found) == sorted(items)
        assert [score for _, score, _ in found] == sorted((score for _, score, _ in found), reverse=True)
        for item, score, reasons in found:
            assert score == pytest.approx(score_without(data, user, None, item, net, params, config), abs=1e-5)
            assert len(reasons) <= 2 and (model == "hmar" or not reasons)  # BPR-MF reads no history
            for reason, names, fall in reasons:
                assert names == [name for raw, name in window if raw == reason] and names
                rest = score_without(data, user, reason, item, net, params, config)
                assert fall == pytest.approx(score - rest, abs=1e-5) and fall > 0


def score_without(data, user, removed, item, model, params, config):
    """The score of raw `item` from the user's lines of the file that are not about `removed`."""
    items = sorted({line.split(",")[1] for line in data.read_text().splitlines()}, key=int)
    names = ("buy", "cart", "fav", "pv")
    rows = [line.split(",") for line in data.read_text().splitlines()]
    number = sorted({row[0] for row in rows}, key=int).index(user) + 1
    part = [(items.index(i) + 1, names.index(name) + 1) for u, i, _, name, _ in rows if u == user and i != removed]
    events = sequences.from_rows(np.full(len(part), number), *np.array(part).T, 4)
    batch = model.ranking_batch(events, np.array([0]), config)
    return model.score(params, batch, np.array([[items.index(item) + 1]]), config)[0, 0]


def test_a_user_of_one_item(tmp_path):
    data = tmp_path / "log.csv"
    data.write_text("".join(f"8,{item},1,{name},{t}\n" for t, (item, name) in enumerate(
        [("5", "pv"), ("5", "buy"), ("5", "buy"), ("5", "buy")])))
    assert train(tmp_path / "run", data)[0] == 0
    assert call("evaluate", tmp_path / "run")[0] == 0
    code, out, err = call("recommend", tmp_path / "run", "--user", 8)
    assert (code, err) == (0, "") and out.splitlines()[0].split()[:2] == ["1", "5"]


def test_a_user_who_never_buys(tmp_path):
    data = write_log(tmp_path / "log.csv")
    with open(data, "a") as file:
        file.write("77,60,3,pv,1\n77,7,3,pv,2\n77,9,3,cart,3\n")
    code, out, _ = train(tmp_path / "run", data)
    assert code == 0 and "5 users" in out and "4 validation and 4 test events" in out
    assert call("recommend", tmp_path / "run", "--user", 77)[0] == 0


def test_a_user_with_one_purchase_alone(tmp_path):
    data = tmp_path / "log.csv"
    data.write_text("8,5,1,pv,1\n8,6,1,pv,2\n8,7,1,buy,3\n")
    code, out, _ = train(tmp_path / "run", data)
    assert code == 0 and "0 validation and 1 test events" in out
    assert call("evaluate", tmp_path / "run")[0] == 0


def test_candidates_unseen_and_dropped_histories(tmp_path):
    data = write_log(tmp_path / "log.csv")
    assert train(tmp_path / "a", data, "--candidates", "unseen")[0] == 0
    _, out, _ = call("evaluate", tmp_path / "a")
    assert "random                    " in out and "(100% of the test items met before)" in out
    assert out.splitlines()[3].split()[1] == "0.000"  # every held-out item was viewed just before: all are misses
    assert train(tmp_path / "b", data, "--drop-target-history")[0] == 0
    _, out, _ = call("evaluate", tmp_path / "b")
    assert "(0% of the test items met before)" in out and out.splitlines()[3].split()[1] == "1.000"


def test_settings_of_the_command_line_reach_the_run(tmp_path):
    data = write_log(tmp_path / "log.csv")
    more = ("--seed", 7, "--set", "dropout=0.25", "--set", "indicator=false", "--set", "float32=false",
            "--set", "weights=0.4,0.3,0.2,0.1", "--set", "counts=window", "--set", "rate=0.02")
    assert train(tmp_path / "run", data, *more)[0] == 0
    _, asked, config, settings = runs.load(tmp_path / "run")
    assert (config.width, config.length, config.dropout) == (4, 5, 0.25)
    assert (config.indicator, config.counts) == (False, "window")
    assert config.weights == (0.4, 0.3, 0.2, 0.1) and (config.items, config.behaviours, config.target) == (5, 4, 1)
    assert (settings.seed, settings.steps, settings.rate, settings.float32) == (7, 6, 0.02, False)
    assert (asked.data, asked.format, asked.target, len(asked.digest)) == (str(data), "taobao", "buy", 64)
    assert call("evaluate", tmp_path / "run")[0] == 0


def test_a_setting_that_is_unknown_is_named_with_those_there_are_before_the_log_is_read(tmp_path):
    code, out, err = train(tmp_path / "run", tmp_path / "no log", "--set", "evaluate_often=3")
    assert code == 2 and "--set evaluate_often: hmar has no such setting" in out + err
    assert "evaluate_every" in out + err and "theta" in out + err and "no such file" not in out + err


def test_the_same_command_gives_the_same_numbers(tmp_path, finished):
    assert train(tmp_path / "again", finished / "log.csv")[0] == 0
    assert train(tmp_path / "other", finished / "log.csv", "--seed", 1)[0] == 0
    one = arrays(finished / "run" / "final.npz")
    assert one == arrays(tmp_path / "again" / "final.npz") != arrays(tmp_path / "other" / "final.npz")


def test_a_run_on_leaked_counts_is_evaluated_on_them(tmp_path, finished, monkeypatch):
    asked, split = [], runs.leave_one_out
    monkeypatch.setattr(runs, "leave_one_out", lambda *a: asked.append(a[3]) or split(*a))
    assert train(tmp_path / "run", finished / "log.csv", "--set", "counts=whole-log")[0] == 0
    assert call("evaluate", tmp_path / "run")[0] == 0
    assert asked[-2:] == ["whole-log", "whole-log"]  # of the training, of the table


# Ctrl-C.

STOPS_ITSELF = """import os, signal, sys
from mbref import training
from mbref.__main__ import main

def save(path, state, config, settings):
    write(path, state, config, settings)
    os.kill(os.getpid(), signal.SIGINT)

write, training.save_checkpoint = training.save_checkpoint, save
sys.exit(main())"""


def python(*arguments, code=None, **options):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's jobs in the background ignore it, and
    try:                                                               # so would their children
        how = ("-c", code) if code else ("-m", "mbref")
        return subprocess.Popen([sys.executable, *how, *map(str, arguments)], cwd=ROOT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("name", "word"), [("-run", "./-run"), ("a b", "'a b'"), ("-a b", "'./-a b'")])
def test_the_command_that_is_printed_can_be_pasted(tmp_path, monkeypatch, name, word):
    data = write_log(tmp_path / "log.csv")
    monkeypatch.chdir(tmp_path)
    code, out, err = call("train", f"--out={name}", *task(data), "--steps", 2, *SMALL)
    assert code == 0 and out.endswith(f"done: python -m mbref evaluate {word}\n"), err
    assert call(*shlex.split(out.rpartition("mbref ")[2]))[0] == 0
    assert "go on with it by --resume, or" in refused("train", f"--out={name}", *task(data))


def test_ctrl_c_and_resume(tmp_path):
    data = write_log(tmp_path / "log.csv")
    options = (*task(data), "--steps", 600, "--set", "width=4", "--set", "length=5", "--set", "evaluate_every=10",
               "--set", "patience=0")
    process = python("train", "--out", tmp_path / "run", *options, code=STOPS_ITSELF)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "done" not in out
    assert f"train --resume {tmp_path / 'run'}" in err and "Traceback" not in err
    with np.load(tmp_path / "run" / "search.npz") as z:
        assert 10 <= json.loads(str(z["about"]))["step"] < 600  # it was stopped in the middle
    assert sorted(files(tmp_path / "run")) == ["run.json", "search.npz"]
    assert "not finished" in refused("evaluate", tmp_path / "run")

    resumed = python("train", "--resume", tmp_path / "run")
    out, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0 and "done: " in out
    assert call("train", "--out", tmp_path / "whole", *options)[0] == 0
    for name in ("search.npz", "final.npz"):
        assert arrays(tmp_path / "run" / name) == arrays(tmp_path / "whole" / name)


def test_of_many_validation_events_some_are_ranked(tmp_path, monkeypatch):
    """As many as rows are trained on in between, of which there are 2 x 4 here, but for the least number."""
    few, many = training.Settings(batch_size=4, evaluate_every=2), training.Settings(batch_size=64, evaluate_every=50)
    asked = training.Settings(validation_cases=7)
    for settings, cases, items, want in ((few, 200, 5, 0), (few, 201, 5, 200), (many, 3200, 19_999, 0), (many, 9999, 19_999, 3200),
                                         (many, 9999, 20_000, 1600), (many, 9999, 60_000, 800), (asked, 9999, 5, 7)):
        split = SimpleNamespace(items=items, validation=SimpleNamespace(item=np.ones(cases)))
        assert runs.limit_validation(settings, split).validation_cases == want
    limit, split = runs.limit_validation, SimpleNamespace(items=5, validation=SimpleNamespace(item=np.ones(400)))
    monkeypatch.setattr(runs, "limit_validation", lambda settings, _: limit(settings, split))
    assert train(tmp_path / "run", write_log(tmp_path / "log.csv"))[0] == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["validation_cases"] == 200


def blas_threads(monkeypatch, *arguments, **old):
    """What the command line leaves in the environment for BLAS to read."""
    monkeypatch.setattr(os, "environ", old)
    set_blas_threads(options.parser().parse_args([str(a) for a in arguments]))
    return os.environ.get("OPENBLAS_NUM_THREADS")


def test_shards_in_threads_leave_blas_one_each(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    code, *_ = train(tmp_path / "run", write_log(tmp_path / "log.csv"), "--threads", 2)
    assert code == 0 and json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["threads"] == 2
    assert blas_threads(monkeypatch, "train", "--threads", 2) == "1"
    assert blas_threads(monkeypatch, "train", "--resume", tmp_path / "run") == "1"
    assert blas_threads(monkeypatch, "train", "--threads", 2, OPENBLAS_NUM_THREADS="4") == "4"
    for others in (("train",), ("train", "--threads", 1), ("train", "--resume", tmp_path), ("evaluate", tmp_path / "run"),
                   ("bench", "step", "--threads", 2)):
        assert blas_threads(monkeypatch, *others) is None
    for jobs in (1, 2):  # a table's trainings are the same for any number of them at a time
        assert blas_threads(monkeypatch, "reproduce", "--jobs", jobs, OPENBLAS_NUM_THREADS="4") == "1"
    assert "--threads" in refused("reproduce", "--threads", 2) and "leave --threads out" in refused(
        "train", "--resume", tmp_path / "run", "--threads", 2)


def test_ctrl_c_before_there_is_a_run(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt
    monkeypatch.setattr(runs, "read_task", interrupted)
    code, out, err = train(tmp_path / "run", tmp_path / "log.csv")
    assert (code, out, err) == (130, "", "\nmbref: stopped.\n")


def test_a_reader_that_has_seen_enough():
    process = python("cases")
    process.stdout.close()  # long before the first line is printed
    assert process.wait(timeout=300) == 1 and process.stderr.read() == ""
    process.stderr.close()


def test_a_fault_as_the_shell_sees_it(tmp_path):
    process = python("train", "--out", tmp_path / "run", *task(tmp_path / "none.csv"))
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, "")
    assert err == f"mbref: {tmp_path / 'none.csv'}: there is no such file, check the path\n"


def test_an_output_that_is_full_or_closed(finished):
    for words in (["--help"], ["train", "--help"], ["cases"]):
        run = [sys.executable, "-m", "mbref", *words]
        with open("/dev/full", "w") as full:
            done = subprocess.run(run, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
        assert done.returncode == 2
        assert done.stderr == "mbref: cannot write what there is to print (No space left on device).\n"
    done = subprocess.run(run, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=300,
                          preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")


def test_all_streams_closed_and_a_notebooks_kind_of_figures(tmp_path):
    """Workers, progress bars and figures ask for none of them."""
    command = [sys.executable, "-m", "mbref", "reproduce", "--out", tmp_path / "out", *task(write_log(tmp_path / "log.csv")),
               "--only", "BPR-MF", "--seeds", "2", "--steps", "2", "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "MPLBACKEND": "module://nowhere"}, timeout=300,
                          preexec_fn=lambda: [os.close(number) for number in (0, 1, 2)])
    assert done.returncode == 0
    assert {"results.json", "table.png"} <= set(files(tmp_path / "out"))


def test_a_fault_is_one_line_that_no_terminal_obeys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (("evaluate", "a\nb\x1b[2J\u2028"), ("train", "--resume", "a\nb\x1b[2J\u2028")):
        says = refused(*command)
        assert r"a\nb\x1b[2J\u2028 holds no run" in says and says[:-1].isprintable()


@pytest.mark.parametrize("command", [("exercises", "--student"), ("site", "--out"), ("check",), ("check", "--results"),
                                     ("bench", "read", "--file"), ("export",), ("evaluate",), ("parity",)])
def test_a_name_that_is_too_long_is_named(command):
    says = refused(*command, "x" * 300 + ".py" * (command == ("check",)))
    assert "x" * 80 in says and "File name too long" in says and "to print" not in says


def test_worlds_without_docstrings(monkeypatch):
    """As python -OO has it."""
    monkeypatch.setattr(last, "__doc__", None)
    code, out, _ = call("worlds")
    assert code == 0 and "last    " in out


def numeric_options():
    """Every option that is given as a number, of every command."""
    left = [options.parser()]
    for p in left:
        for action in p._actions:
            if isinstance(action.choices, dict):
                left.extend(action.choices.values())
            elif action.type:
                yield pytest.param(action, id=f"{p.prog} {action.option_strings[-1]}")


@pytest.mark.parametrize("action", [*numeric_options()])
def test_a_number_is_finite_and_has_a_bound(action):
    seeds = {"--seed", "--fresh"}  # any whole number draws
    for text in ("nan", "inf", "-inf", "1e400", "1" + "0" * 30, "9" * 5000, "-1", "0", "1.5", "2.", "1e-3", " 3", "x", "²"):
        try:
            value = action.type(text)
        except (ValueError, argparse.ArgumentTypeError):
            continue
        assert np.isfinite(float(value)) and (seeds & {*action.option_strings} or -MOST <= value <= MOST)
    assert action.type("0.5" if action.dest in ("cold", "timeout") else "2") in (0.5, 2)
    for text in ("x", "nan", *(["1.5"] if type(action.type("1" if action.dest != "cold" else "0.5")) is int else [])):
        with pytest.raises((ValueError, argparse.ArgumentTypeError)):
            action.type(text)


@pytest.mark.parametrize("convert, good, bad", [
    (positive, ("1", str(MOST)), ("0", str(MOST + 1), "1.0", "")), (natural, ("0", str(MOST + 1)), ("-1",)),
    (seconds, ("0.001", "1000000"), ("0", "-1", "1000000.1"))])
def test_numbers_of_options_at_their_bounds(convert, good, bad):
    assert [convert(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match="is no "):
            convert(text)


def test_a_share_is_at_least_0_and_less_than_1():
    assert fraction("0") == 0
    for text in ("1", "-0.01"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not at least 0 and less than 1"):
            fraction(text)


@pytest.mark.parametrize("value", ["9" * 10**4, "a b " * 3000, 'it\'s "' + "x" * 10**4, "a'b" * 3000])
def test_a_value_is_echoed_in_part(tmp_path, value):
    for arguments in (("--set", f"width={value}"), ("--steps", f"x{value}"), ("--target", value), ("--format", value)):
        says = refused("train", "--out", tmp_path / "run", *task(write_log(tmp_path / "log.csv")), *arguments)
        assert len(says) < 1000


def test_sentences_keep_their_own_words():
    for text in (f"the model's {'word ' * 40}and the user's own", f"{'/folder' * 40}/log.csv: there is no such file",
                 "choose one of 'a', 'b'" + ", 'c'" * 40):
        assert cut_values(text) == text
    assert cut_values(f"time {'1' * 81}2345 is none") == f"time {'1' * 80}... is none"
    assert cut_values(f"time '{'1 ' * 60}' is none") == f"time '{'1 ' * 40}...' is none"


def test_a_log_that_is_a_loop_of_links(tmp_path):
    (tmp_path / "log.csv").symlink_to(tmp_path / "log.csv")
    assert "cannot be read (Too many levels" in refused("train", "--out", tmp_path / "run", *task(tmp_path / "log.csv"))


# One sentence for every fault, and nothing is overwritten.

GOOD = "1,5,1,pv,1\n1,6,1,buy,2\n1,7,1,buy,3\n"


@pytest.mark.parametrize("text, says", [
    ("", "holds no events"),
    (None, "no such file"),
    (GOOD + 2 * "1,5,pv,4\n", "line 4: 4 fields where 5"),
    (GOOD + 2 * "1,5,1,like,4\n", "line 4: behaviour 'like' is unknown"),
    (GOOD + 2 * "1,5,1,pv,noon\n", "line 4: time 'noon'"),
    ("user item behaviour\n1 5 pv\n", "line 1: 1 field"),
    ("1,5,1,pv,1\n1,6,1,pv,2\n1,7,1,pv,3\n", "no user of"),
    ("1,5,1,buy,1\n1,6,1,pv,2\n1,7,1,pv,3\n", "no user of"),
    ("1,5,1,pv,1\n1,6,1,buy,2\n", "no user of"),
])
def test_a_log_that_cannot_be_trained_on(tmp_path, text, says):
    data = tmp_path / "log.csv"
    if text is not None:
        data.write_text(text)
    assert says in refused("train", "--out", tmp_path / "run", *task(data))
    assert not (tmp_path / "run").exists()


def test_a_log_of_purchases_only_leaves_nothing_to_train_on(tmp_path):
    (tmp_path / "log.csv").write_text("8,5,1,buy,1\n8,6,1,buy,2\n8,7,1,buy,3\n")
    assert "nothing to train on" in refused("train", "--out", tmp_path / "run", *task(tmp_path / "log.csv"))


@pytest.mark.parametrize("target, says", [("like", "'like'"), ("fav", "no user of"), ("", "is empty")])
def test_a_target_that_cannot_be_tested(tmp_path, target, says):
    data = write_log(tmp_path / "log.csv")
    assert says in refused("train", "--out", tmp_path / "run", *task(data, target))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options, says", [
    (("--set", "widht=8"), "hmar has no such setting; choose from batch_size"), (("--set", "width"), "NAME=VALUE"),
    (("--set", "width=big"), "width=big"), (("--set", "indicator=maybe"), "indicator=maybe"),
    (("--set", "weights=1,x"), "weights=1,x"),
    (("--set", "counts=past"), "'past'"), (("--set", "items=9"), "items: hmar has no"), (("--set", "heads=3"), "heads"),
    (("--set", "weights=1,2"), "weights"), (("--set", "width=0"), "width"), (("--set", "rate=0"), "rate is 0"),
    (("--seed", -1), "seed is -1"), (("--seed", "one"), "--seed"), (("--steps", 0), "0 is no whole number"),
    (("--steps", 1.5), "1.5 is no whole number"),
    (("--format", "tsv"), "'tsv'"), (("--format", "csv"), "--columns"),
    (("--format", "csv", "--columns", "user=a,user=b,item=c"), "names one of ours twice"), (("--candidates", "some"), "'some'"), (("--fast",), "--fast"),
])
def test_an_option_that_makes_no_sense(tmp_path, options, says):
    data = write_log(tmp_path / "log.csv")
    assert says in refused("train", "--out", tmp_path / "run", *task(data), *options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments, says", [
    (("--fast",), "--fast"), (("bake",), "'bake'"), (("bench",), "what"),
    (("train",), "--out is missing"), (("train", "gru"), "'gru'"),
    (("train", "--out", "x"), "--data is missing"), (("train", "--out", "x", "--data", "y"), "--format is missing"),
    (("train", "--out", "x", "--data", "y", "--format", "taobao"), "--target is missing"),
    (("train", "--resume", "no/such/run"), "no/such/run holds no run"), (("evaluate",), "RUN"),
    (("evaluate", "no/such/run"), "no/such/run holds no run"), (("recommend", "no/such/run"), "--user"),
    (("recommend", "no/such/run", "--user", "1"), "holds no run"), (("recommend", "x", "--user", "1", "-k", "0"), "-k"),
    (("reproduce", "--set", "widht=8"), "leave --set out"), (("sweep", "hmar"), "--grid is missing"), (("reproduce", "--paper", "none"), "'none'"),
])
def test_arguments_that_are_missing_or_wrong(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert says in refused(*arguments)
    assert files(tmp_path) == {}


def test_help_is_no_fault(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0 and "--resume" in capsys.readouterr().out


def test_no_command_gets_the_help(capsys):
    assert call() == (0, options.parser().format_help(), "")


def test_an_out_that_holds_a_run(copied):
    before = files(copied)
    assert "already holds a run" in refused("train", "--out", copied / "run", *task(copied / "log.csv"), "--seed", 5)
    assert files(copied) == before


def test_two_at_once_on_one_out(copied, monkeypatch):
    """The other one writes its run.json while this one reads the log."""
    (copied / "run" / "run.json").rename(copied / "other.json")
    shutil.rmtree(copied / "run")
    make_config = runs.make_config

    def be_second(*arguments):
        (copied / "run").mkdir()
        shutil.copy(copied / "other.json", copied / "run" / "run.json")
        return make_config(*arguments)

    monkeypatch.setattr(runs, "make_config", be_second)
    code, _, err = train(copied / "run", copied / "log.csv", "--seed", 5)
    assert code == 2 and err == f"mbref: {copied / 'run' / 'run.json'} is there already: give another folder.\n"
    assert files(copied / "run") == {"run.json": (copied / "other.json").read_bytes()}


def test_a_finished_run_is_resumed_and_used_without_writing(copied, monkeypatch):
    def read_only(*arguments):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("mbref.data.files.open", read_only, raising=False)
    before = files(copied)
    for command in (("train", "--resume"), ("evaluate",), ("recommend", "--user", "4")):
        assert call(*command, copied / "run")[0] == 0
    assert files(copied) == before


def test_an_out_that_cannot_be_written(tmp_path):
    data = write_log(tmp_path / "log.csv")
    for out in (data, data / "run", tmp_path / ("x" * 300)):
        assert "cannot write to" in refused("train", "--out", out, *task(data))
    assert list(files(tmp_path)) == ["log.csv"]


def test_a_user_who_is_not_in_the_log(finished):
    for user in ("99", "0", "1 7"):
        assert f"user {user!r} is not in the log" in refused("recommend", finished / "run", "--user", user)
    assert call("recommend", finished / "run", "--user", " 17 ") == call("recommend", finished / "run", "--user", "17")


def test_a_pipe_that_the_shell_opens_is_no_log(tmp_path):
    ours, theirs = os.pipe()  # as --data <(cat log.csv) gives it
    says = refused("train", "--out", tmp_path / "run", *task(f"/dev/fd/{ours}"))
    assert "is a pipe or a device, and a log is read more than once: write it to a file first" in says
    for end in (ours, theirs):
        os.close(end)


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0 and capsys.readouterr().out == f"mbref {mbref.__version__}\n"


def test_an_empty_argument_is_no_folder(finished, monkeypatch, tmp_path):
    """As an unset shell variable gives it: nothing is written where the user stands."""
    monkeypatch.chdir(tmp_path)
    for command in (("train", "--out", "", *task(finished / "log.csv")), ("reproduce", "--out", ""), ("export", ""),
                    ("check", "--results", ""), ("recommend", finished / "run", "--user", "")):
        assert "is empty" in refused(*command)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [("--steps", 3), ("--set", "theta=1"), ("--out", "x"), ("--target", "pv"),
                                  ("--gap", 9), ("--seed", 0)])
def test_resume_takes_no_option_that_the_run_has_decided(copied, more):
    before = files(copied / "run")
    assert f"leave {more[0]} out" in refused("train", "--resume", copied / "run", *more)
    assert files(copied / "run") == before


def test_a_model_that_does_not_fit_into_memory_leaves_no_run(tmp_path, finished, monkeypatch):
    def none_left(*arguments):
        raise MemoryError("Unable to allocate 99 GiB")

    monkeypatch.setattr(runs.training, "begin", none_left)
    code, _, err = train(tmp_path / "run", finished / "log.csv")
    assert code == 2 and err.splitlines()[-1] == (
        "mbref: not enough memory (Unable to allocate 99 GiB): choose smaller sizes.")
    assert not (tmp_path / "run" / "run.json").exists()


def test_hiersrec_says_that_a_log_has_no_categories(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("user item behaviour\n" + "".join(f"{u} {i} buy\n" for u in range(1, 6) for i in range(u, u + 4)))
    log = ("--data", path, "--format", "hmar", "--target", "buy")
    says = refused("train", "hiersrec", "--out", tmp_path / "run", *log)
    assert "log.txt has no categories" in says and not (tmp_path / "run").exists()


@pytest.mark.parametrize("more", [("--gap", 10), ("--days", 3), ("--min-support", 9), ("--text", "random"),
                                  ("--cold", 0.2)])
def test_what_is_for_sessions_is_refused_where_there_are_none(tmp_path, finished, more):
    says = refused("train", "--out", tmp_path / "run", *task(finished / "log.csv"), *more)
    assert says == f"mbref: {more[0]} is for sessions: give --split-by session-rec or srgnn with it.\n"


@pytest.mark.parametrize("pair, says", [("float32=0", "true or false"), ("weights=a", "numbers with commas between"),
                                        ("width=1.5", "a whole number"), ("rate=fast", "a number")])
def test_a_value_of_the_wrong_kind_says_which_kind_is_right(tmp_path, finished, pair, says):
    assert f"must be {says}, not" in refused("train", "--out", tmp_path / "run", *task(finished / "log.csv"),
                                             "--set", pair)


def test_a_user_of_a_log_cut_into_sessions(tmp_path, finished):
    def one(user, day):
        return "".join(f"{user},{item},{item % 3 + 1},buy,{1511544070 + 86400 * day + item}\n" for item in (1, 2, 3))

    path = tmp_path / "log.csv"
    path.write_text("".join(one(user, day) for user in (7, 8, 9) for day in range(12)))
    assert call("train", "bpr_mf", "--out", tmp_path / "run", *task(path, "any"), "--split-by", "session-rec", "--gap",
                3600, "--days", 2, "--min-support", 1, "--steps", 2, "--set", "width=4")[0] == 0
    says = refused("recommend", tmp_path / "run", "--user", 7)
    assert "sessions" in says and "such as '9/" in says


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"model": "hmar"}', "half", "model", "config", "settings",
                                  "task", "min_events"])
def test_a_damaged_run_json(copied, text):
    path = copied / "run" / "run.json"
    about = json.loads(path.read_text())
    about["task"] |= {"min_events": "three"} if text == "min_events" else {}  # a value of another kind
    broken = {"min_events": 3, "model": "gru", "config": [], "settings": {"steps": "many"}, "task": {}}
    text = path.read_text()[:100] if text == "half" else text
    path.write_text(json.dumps(about | {text: broken[text]}) if text in broken else text)
    before = files(copied)
    for command in (("evaluate", copied / "run"), ("train", "--resume", copied / "run"),
                    ("recommend", copied / "run", "--user", "4")):
        assert "run.json is damaged" in refused(*command)
    assert files(copied) == before


@pytest.mark.parametrize("name", ["search.npz", "final.npz"])
def test_a_checkpoint_cut_in_half(copied, name):
    path = copied / "run" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = files(copied)
    for command in (("evaluate", copied / "run"), ("recommend", copied / "run", "--user", "4"),
                    ("train", "--resume", copied / "run")):
        assert f"{name} is no whole checkpoint" in call_without_bar(*command)
    assert files(copied) == before


def call_without_bar(*arguments):
    """The sentence of a call that must fail, without the progress bar before it."""
    code, out, err = call(*arguments)
    assert code == 2 and "done" not in out and "Traceback" not in err
    return err.splitlines()[-1]


def test_evaluate_on_some_of_the_cases(finished):
    _, whole, _ = call("evaluate", finished / "run")
    code, out, _ = call("evaluate", finished / "run", "--cases", 2)
    assert code == 0 and "ranked: 2 of the " in out and out.splitlines()[-1].startswith("this run")
    assert out.splitlines()[-9:] != whole.splitlines()[-9:]  # other figures
    _, more, _ = call("evaluate", finished / "run", "--cases", 99)
    assert [line for line in more.splitlines() if not line.startswith("ranked")] == whole.splitlines()
    assert "cases" in refused("evaluate", finished / "run", "--cases", 0)


def test_a_folder_that_is_no_run_or_an_unfinished_one(copied):
    (copied / "empty").mkdir()
    assert "holds no run" in refused("evaluate", copied / "empty")
    assert "holds no run" in refused("evaluate", copied / "log.csv")
    (copied / "run" / "final.npz").unlink()
    assert "not finished" in refused("evaluate", copied / "run")
    (copied / "run" / "search.npz").unlink()
    assert "not finished" in refused("recommend", copied / "run", "--user", "4")
    assert call("train", "--resume", copied / "run")[0] == 0


def test_resume_brings_back_a_deleted_checkpoint(copied, finished):
    (copied / "run" / "final.npz").unlink()
    assert call("train", "--resume", copied / "run")[0] == 0
    assert arrays(copied / "run" / "final.npz") == arrays(finished / "run" / "final.npz")


def test_a_log_that_changed_or_is_gone(copied):
    data = copied / "log.csv"
    data.write_text(data.read_text().replace("17,500,3,pv", "17,500,3,fav", 1))
    before = files(copied / "run")
    for command in ("evaluate",), ("recommend", "--user", "4"), ("train", "--resume"):
        assert "is not the file this run was trained on" in refused(*command, copied / "run")
    data.unlink()
    for command in ("evaluate",), ("recommend", "--user", "4"), ("train", "--resume"):
        assert "there is no such file" in refused(*command, copied / "run")
    assert files(copied / "run") == before


def test_a_disk_that_is_full(tmp_path):
    data = write_log(tmp_path / "log.csv")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f"search.npz.{os.getpid()}.mbref.part").symlink_to("/dev/full")
    code, out, err = train(tmp_path / "run", data)
    assert code == 2 and "done" not in out and "Traceback" not in err
    assert "cannot write" in err.splitlines()[-1] and "search.npz" in err.splitlines()[-1]
    assert sorted(files(tmp_path / "run")) == []
    assert train(tmp_path / "run", data)[0] == 0  # once there is space


def test_a_run_that_could_not_train_leaves_its_folder_free(tmp_path):
    data = write_log(tmp_path / "log.csv")
    code, _, err = train(tmp_path / "run", data, "--set", "rate=1e30")
    assert code == 2 and "the loss is" in err.splitlines()[-1]
    assert train(tmp_path / "run", data)[0] == 0


def test_recommend_leaves_out_what_was_met_if_only_the_unseen_is_ranked(tmp_path):
    data = write_log(tmp_path / "log.csv", items=[str(i) for i in range(50, 80)])
    assert train(tmp_path / "run", data, "--candidates", "unseen")[0] == 0
    for line in data.read_text().splitlines():
        user = line.split(",")[0]
        met = {other.split(",")[1] for other in data.read_text().splitlines() if other.startswith(f"{user},")}
        out = call("recommend", tmp_path / "run", "--user", user, "-k", 99)[1]
        listed = {row.split()[1] for row in out.splitlines()[:-1]}
        assert listed and not listed & met


def test_a_relative_data_path_is_found_from_another_folder(tmp_path, monkeypatch):
    write_log(tmp_path / "log.csv")
    monkeypatch.chdir(tmp_path)
    assert train(tmp_path / "run", "log.csv")[0] == 0
    monkeypatch.chdir(tmp_path / "run")
    assert call("evaluate", ".")[0] == 0
