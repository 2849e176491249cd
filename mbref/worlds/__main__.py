"""python -m mbref.worlds NAME FOLDER --seed 1: write the files of a synthetic log into a folder."""
import argparse
from pathlib import Path

from mbref.worlds import amazon, groups, sessions, shop

WORLDS = {"amazon": amazon, "groups": groups, "sessions": sessions, "shop": shop}


def main(arguments=None):
    """Write the files that a world makes of a seed; an error is one line on stderr and exit 2."""
    parser = argparse.ArgumentParser("python -m mbref.worlds",
                                     description="Write a synthetic log with a known rule.")
    parser.add_argument("world", choices=WORLDS)
    parser.add_argument("folder", help="folder to write the files into")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    for name, text in WORLDS[options.world].make(options.seed)[1].items():
        path = Path(options.folder) / name
        try:
            path.write_text(text, encoding="ascii", newline="\n")
        except OSError as error:
            parser.error(f"{path} cannot be written ({error.strerror}), check the folder")


if __name__ == "__main__":
    main()
