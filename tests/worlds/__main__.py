"""python -m tests.worlds NAME FOLDER --seed 1: write the files of a synthetic log into a folder."""
import argparse
from pathlib import Path

from tests.worlds import amazon_events, groups_events, sessions_events, shop_events

WORLDS = {"amazon": amazon_events, "groups": groups_events, "sessions": sessions_events, "shop": shop_events}


def main(arguments=None):
    """Write the files that a world makes of a seed."""
    parser = argparse.ArgumentParser("python -m tests.worlds", description="Write a synthetic log with a known rule.")
    parser.add_argument("world", choices=WORLDS)
    parser.add_argument("folder", help="folder to write the files into")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    for name, text in WORLDS[options.world].make(options.seed)[1].items():
        Path(options.folder, name).write_text(text, encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
