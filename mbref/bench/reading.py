"""What reading a log costs: processor time and memory, beside pandas where it is installed.

Each reader runs in a process of its own, so that its peak of memory is its own.
"""
import re
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from timeit import timeit

import numpy as np

from mbref.data.readers import read
from mbref.errors import require

NAMES = np.array(["pv", "cart", "fav", "buy"])
ONE_WAY = """import sys; sys.path[:] = {places}
from mbref.bench.reading import measure; measure({way!r}, {path!r})"""


def run(options):
    """`bench read`: a table of readers, on the file given or on one that is made here."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.file or write_rows(Path(folder) / "log.csv", options.rows))
        require(path.is_file(), f"{path}: there is no such file, check the path")
        size = path.stat().st_size
        print(f"{path.name}: {size / 1e6:,.0f} MB in the layout of Taobao")
        print(f"{'reader':10}{'CPU s':>8}{'MB/s':>8}{'peak MB':>9}")
        for way in ("mbref", "pandas"):
            if way == "pandas" and find_spec("pandas") is None:
                print("pandas is not installed: pip install pandas")
                continue
            code = ONE_WAY.format(way=way, path=str(path), places=sys.path)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            require(done.returncode == 0, done.stderr.strip().rpartition("InputError: ")[2])
            seconds, peak = map(float, done.stdout.split())
            print(f"{way:10}{seconds:8.2f}{size / 1e6 / seconds:8.0f}{peak:9,.0f}")


def measure(way, path):
    """Print processor seconds and the growth of the peak of memory, in MB, of one reader."""
    work = partial(read, path, "taobao")
    if way == "pandas":
        import pandas
        work = partial(pandas.read_csv, path, header=None)
    before = peak_memory()
    print(timeit(work, timer=time.process_time, number=1), peak_memory() - before)


def peak_memory():
    """The most memory this process has held so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux has in ru_maxrss what the parent held when this process began, too
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_rows(path, rows, block=10**6):
    """A file of so many rows, users in order, times in order within a user.  -> its path."""
    rng = np.random.default_rng(0)
    with open(path, "w", encoding="ascii") as file:
        for start in range(0, rows, block):
            size = min(block, rows - start)
            user = 1 + np.arange(start, start + size) // 100
            item = rng.zipf(1.2, size) % 4_162_024 + 1
            name = NAMES[rng.choice(4, size, p=[0.9, 0.055, 0.028, 0.017])]
            when = 1_511_539_200 + np.arange(start, start + size) % 100 * 7_000 + rng.integers(
                0, 7_000, size)
            columns = (user, item, item * 7_919 % 9_439 + 1, name, when)
            lines = zip(*(column.tolist() for column in columns), strict=True)
            file.writelines(f"{u},{i},{c},{b},{t}\n" for u, i, c, b, t in lines)
    return path
