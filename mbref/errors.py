"""The one exception that means: the input is at fault, and this sentence says how to mend it."""
import signal
import threading
from contextlib import contextmanager
from dataclasses import fields

MOST = 10**8  # of a size; products of three still have a number of bytes
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP")
         if hasattr(signal, name)]  # what ends a process; Windows lacks the last


class InputError(ValueError):
    """Bad file, option or argument. The command line prints its one sentence, exit code 2."""


def require(condition, sentence):
    """Raise InputError(sentence) unless the condition holds."""
    if not condition:
        raise InputError(sentence)


def require_generator(rng):
    """Raise InputError unless rng draws numbers as a numpy.random.Generator does."""
    require(hasattr(rng, "integers"),
            f"rng is {rng!r}: give a Generator, such as numpy.random.default_rng(0).")


def printable(sentence):
    """The sentence with control characters, which a terminal would obey, as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in sentence)


def count(number, noun):
    """How many there are in words: "1 event", "2,000 events"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def split_names(text, option):
    """The names with commas between that an option gives. Raises InputError for an empty one."""
    names = [name.strip() for name in text.split(",")] if text else []
    require(all(names), f"{option} {text}: write names with commas between.")
    return names


def require_choice(config, **choices):
    """Raise InputError unless every named field of `config` has one of its allowed values."""
    for name, allowed in choices.items():
        value = getattr(config, name)
        require(value in allowed, f"{name} is {value!r}: choose one of {', '.join(allowed)}.")


def require_types(config):
    """Raise InputError unless every field of a dataclass is of its kind; an int may be a float."""
    from numbers import Integral, Real  # which a refused option does not need

    for field in fields(config):
        value, kind = getattr(config, field.name), getattr(field.type, "__origin__", field.type)
        known = {int: Integral, float: Real}.get(kind, kind)  # those of NumPy, too
        numbers = value if kind is not field.type and isinstance(value, tuple) else ()
        require(isinstance(value, known) and (kind is bool or not isinstance(value, bool))
                and all(isinstance(number, Real) for number in numbers),
                f"{field.name} is {value!r}: its type must be {getattr(kind, '__name__', kind)}.")


def require_ranges(config):
    """Raise InputError unless every field of a model's Config is of its kind and in its range.

    Whole numbers count: at least 1, or 0 where that is the default. Others weigh: finite and 0 or
    more, `dropout` less than 1. `width` must fit `heads`; `target` and `weights` the `behaviours`.
    """
    require_types(config)
    values = vars(config)
    for field in fields(config):
        value = values[field.name]
        for part in value if isinstance(value, tuple) else (value,):
            require_range(field.name, part, field.default)
    width, heads = values.get("width", 0), values.get("heads", 1)
    require(width % heads == 0, f"width is {width}: it must be a multiple of heads, {heads}.")
    behaviours = values.get("behaviours", 1)
    target, weights = values.get("target", 1), values.get("weights", ())
    require(target <= behaviours and len(weights) in (0, behaviours),
            f"target and weights must fit the {behaviours} behaviours.")


def require_range(name, value, default):
    """Raise InputError unless a value lies in its range, if it is a number."""
    if isinstance(value, float) or isinstance(default, float):
        most, words = (1, "less than 1") if name == "dropout" else (float("inf"), "a number")
        require(0 <= value < most, f"{name} is {value}: it must be at least 0 and {words}.")
    elif isinstance(value, int) and not isinstance(value, bool):
        least = 0 if default in (0, ()) else 1
        require(value >= least, f"{name} is {value}: it must be at least {least}.")
        require(value <= MOST, f"{name} is {value}: it must be at most {MOST:,}.")


@contextmanager
def without_interrupt():
    """Ctrl-C, and a signal that does the same, waits until the block has ended."""
    caught, stops = [], []
    if threading.current_thread() is threading.main_thread():  # they come to this one alone
        stops = [number for number in STOPS
                 if signal.getsignal(number) is signal.default_int_handler]
    for number in stops:
        signal.signal(number, lambda *found: caught.append(found))
    try:
        yield
    finally:
        for number in stops:
            signal.signal(number, signal.default_int_handler)
    if caught:
        raise KeyboardInterrupt
