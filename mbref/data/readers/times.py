"""Times as files write them: seconds, finer units, ISO 8601; and what looks wrong with them."""
import re
from datetime import datetime

import numpy as np

from mbref.data.readers.columns import INTEGER, texts_of

LATEST = 10**11  # seconds, the year 5138
UNITS = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}
FEW_TIMES = 1000  # hardly any, in a long log
YEAR, IN_1990, IN_2100 = 365 * 86400, 631_152_000, 4_102_444_800  # seconds
TICKS = 630_822_816 * 10**9, 662_380_416 * 10**9  # of .NET, 2000 to 2099: 100 ns since year 1
ISO = re.compile(r"(\d{4}([-/])\d\d\2\d\d)(?:[T ](\d\d)(?::?(\d\d))?(?::?(\d\d))?(?:[.,](\d+))?)?"
                 r" ?(?:Z|UTC|GMT|([+-])(\d\d):?(\d\d)?)?", re.ASCII)
DIGITS = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(\d\d)?)?)?", re.ASCII)


def number(text):
    """The number that a text says, whole if it is written so; nan for what is no number."""
    try:
        return int(text) if INTEGER.fullmatch(text) else float(text)
    except ValueError:
        return float("nan")


def iso_time(text):
    """Microseconds since 1970 of an ISO 8601 time, UTC unless it says its zone; nan for none."""
    found = ISO.fullmatch(text)
    if not found:
        return float("nan")
    day, _, hour, minute, second, fraction, sign, hours, minutes = found.groups("0")
    try:
        start = int(np.datetime64(day.replace("/", "-"), "us").astype(np.int64))
    except ValueError:
        return float("nan")
    if int(hour) > 24 or int(minute) > 59 or int(second) > 60:
        return float("nan")
    zone = int(f"{sign}1") * (60 * int(hours) + int(minutes))
    seconds = 60 * (60 * int(hour) + int(minute) - zone) + int(second)
    return start + 10**6 * seconds + int(fraction[:6].ljust(6, "0"))


def digit_time(text):
    """Microseconds since 1970 of 20140407, or with 10, 1051 or 105109 behind it; nan for none."""
    found = DIGITS.fullmatch(text)
    if not found:
        return float("nan")
    year, month, day, hour, minute, second = found.groups("00")
    return iso_time(f"{year}-{month}-{day}T{hour}:{minute}:{second}")


def word_time(text):
    """Microseconds since 1970 of Tue Apr 03 18:00:09 +0000 2012; nan for what is none."""
    try:
        return 10**6 * int(datetime.strptime(text, "%a %b %d %H:%M:%S %z %Y").timestamp())
    except ValueError:
        return float("nan")


def numbers_of(column, parse=number):
    """The numbers [n] in a column, int64 if all of them are whole, else float64 with nan."""
    if column.names is None and parse is number:
        return column.values.astype(np.int64, copy=False)
    column = texts_of(column)
    values = [parse(name) for name in column.names]
    whole = all(type(value) is int for value in values)  # of which INTEGER takes none too large
    return np.array(values, np.int64 if whole else np.float64)[column.values]


def units_per_second(times):
    """1 for seconds, 1000 for milliseconds, and so on: what makes the median time a likely one."""
    middle = np.median(times[:: 1 + len(times) // 10**6]) if len(times) else 0
    return next((unit for unit in UNITS if middle < LATEST * unit), 1)


def in_seconds(times, per_second):
    """Whole seconds of times [n] in units of which so many make one."""
    return (times if per_second == 1 else times // per_second).astype(np.int64, copy=False)


def suspicions(time, seconds):
    """Sentences on times [n] that look wrong, which are `seconds` [n] if rounded down."""
    found, n = [], len(time)
    few = len(np.unique(time[:: 1 + n // 10**4])) <= FEW_TIMES
    different = len(np.unique(time)) if few else n
    if n > 1 and different <= max(1, min(FEW_TIMES, n // 1000)):
        found.append(f"the {n} times are hardly different, {different} in all: events of one time "
                     "stay in the order of the file")
    ends = int(seconds.min()), int(seconds.max())
    early = np.count_nonzero(seconds < IN_1990) if ends[0] < IN_1990 else 0
    first, last = (str(np.datetime64(end, "s"))[:10] for end in ends)
    if early:
        found.append(f"{early} of {n} times lie before 1990 (the earliest in {first}): "
                     "are they seconds since 1970?")
    if ends[1] >= IN_2100:
        found.append(f"{np.count_nonzero(seconds >= IN_2100)} of {n} times lie after 2100 (the "
                     f"latest in {last}): are they seconds since 1970?")
    if TICKS[0] <= np.median(time[:: 1 + n // 10**4]) < TICKS[1]:
        found.append(f"the {n} times may be ticks of .NET, of 100 ns since year 1, and are read as "
                     "nanoseconds of 1990: write seconds, ticks / 10^7 - 62135596800")
    for words, sign in ((f"after the rest, as far as {last}", 1),
                        (f"before the rest, as far as {first}", -1)):
        far = count_outliers(sign * seconds) if ends[1] - ends[0] > YEAR else 0
        if far:
            found.append(f"{far} of {n} times lie far {words}")
    return found


def count_outliers(time):
    """How many times lie behind a gap that is longer than a year and than all the rest spans.

    At most one in a thousand, or one, counts.
    """
    few = max(1, len(time) // 1000)
    if len(time) < 3:
        return 0
    latest = np.sort(np.partition(time, len(time) - few - 1)[-few - 1:])
    gaps = np.diff(latest)
    far = np.flatnonzero(gaps > np.maximum(YEAR, latest[:-1] - time.min()))
    return few - int(far[0]) if len(far) else 0
