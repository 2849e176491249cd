"""python -m mbref worlds: the worlds with a known best answer, listed or written as files."""
from pathlib import Path

from mbref.data.files import write_folder
from mbref.errors import require
from mbref.worlds import aisles, counts, dims, hints, hops, kinds, known, last, stamp

WORLDS = {"last": last, "counts": counts, "kinds": kinds, "hints": hints, "stamp": stamp,
          "hops": hops, "dims": dims, "aisles": aisles}


def run_worlds(options):
    """`worlds`: list them, or with --make write their files into a folder each."""
    for name in options.only:
        require(name in WORLDS, f"--only {name}: choose from {', '.join(WORLDS)}.")
    worlds = {name: WORLDS[name] for name in options.only or WORLDS}
    if options.make is None:
        require(not (options.signal or options.users),
                "--signal and --users say what --make writes: give --make, too.")
        for name, world in worlds.items():
            first = " ".join((world.__doc__ or "").partition("\n\n")[0].partition(": ")[2].split())
            print(f"{name:8}{first} Signals: {', '.join(world.SIGNALS)}; {world.USERS} users.")
        return
    require(options.make or not (options.signal or options.users), "--make alone writes what is in "
            "tiny_data/worlds: with --signal or --users give it a DIR.")
    folder = Path(options.make or "tiny_data/worlds")  # of a clone, never of an installed package
    for name, world in worlds.items():
        signal = options.signal or world.SIGNALS[0]
        require(signal in world.SIGNALS, f"--signal {signal}: {name} has "
                                         f"{', '.join(world.SIGNALS)}; name one world by --only.")
        files = known.make(world, signal, options.users or world.SHIPPED)
        print(*write(folder / name, files), sep="\n")


def write(folder, files):
    """Write {file name: text} into a folder, which is made.  -> paths."""
    return write_folder(folder, {name: text.encode("ascii") for name, text in files.items()}, True)
