"""What README.md says of an own log, run as it stands: its commands and its lines of Python, on a small shop."""
import re
import shlex
from pathlib import Path

import pytest

from tests.test_cli import SMALL, call

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SHOP = TEXT[TEXT.index("Any table is read as it is"):TEXT.index("Instead of `hmar`")]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with events.csv and newer.csv."""
    folder = tmp_path_factory.mktemp("shop")
    names, head = ("view", "addtocart", "transaction"), "timestamp,visitorid,event,itemid\n"
    rows = [f"{1_500_000_000 + 60 * at + user},{user},{names[at % 3]},{3 + (user + at) % 15}\n"
            for user in range(90, 110) for at in range(9)]
    (folder / "events.csv").write_text(head + "".join(rows))
    (folder / "newer.csv").write_text(f"{head}1600000000,100,view,5\n")
    return folder


@pytest.mark.trains
def test_the_commands_and_the_python_of_the_readme(shop, monkeypatch):
    monkeypatch.chdir(shop)
    commands = re.findall(r"^    python -m mbref (.*)$", SHOP.replace("\\\n", ""), re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["train", "recommend", "recommend", "recommend"]
    for command in commands:
        small = ("--steps", "4", *SMALL) if command.startswith("train") else ()
        code, out, error = call(*shlex.split(command), *small)
        assert code == 0, error
    assert len((shop / "best.csv").read_text().splitlines()) == 1 + 20 * 10
    lines = SHOP[SHOP.index("In Python:"):].splitlines()[1:]
    found = {}
    exec("\n".join(line.strip() for line in lines if line.startswith("    ")), found)
    assert len(found["found"]) == 10 and found["left_out"] == []
