"""Command line: python -m mbref COMMAND; --help lists the commands. Exit code 2: mend the input."""
import gc
import io
import os
import re
import signal
import sys
from contextlib import suppress
from importlib import import_module

from mbref.errors import STOPS, InputError, printable, require
from mbref.options import parser


def main(arguments=None):
    """Run one command, that of the shell without `arguments`.  -> exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that knows no ± gets an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if arguments is None:
            arguments = begin_process()
        require_words(arguments)
        top = parser()
        options = top.parse_args(arguments)
        set_blas_threads(options)
        code = run(options) if options.run else top.print_help()
        if sys.stdout:  # None where a file that is checked has set it so
            sys.stdout.flush()  # so that a closed pipe shows here
        return code or 0
    except InputError as error:
        print(f"mbref: {say(str(error))}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"mbref: not enough memory ({error}): choose smaller sizes.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmbref: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads our output has seen enough, such as `head`
        drop_output()
        return 1
    except OSError as error:  # most files have sentences of their own
        print(f"mbref: {say(describe_fault(error))}", file=sys.stderr)
        return 2


def begin_process():
    """Prepare a process of our own.  -> arguments of the command line."""
    open_closed_streams()
    stop_alike()
    os.environ["MPLBACKEND"] = "agg"  # figures are files, whatever a notebook has set
    return sys.argv[1:]


def describe_fault(error):
    """The sentence of an OSError with a name that the system does not take, or of our output."""
    if error.filename is None:
        drop_output()
    what = f"use {error.filename}" if error.filename else "write what there is to print"
    return f"cannot {what} ({error.strerror})."


def require_words(arguments):
    """Raise InputError if an argument is empty."""
    for number, word in enumerate(arguments, start=1):
        require(word, f"argument {number} is empty: is a shell variable not set?")


def drop_output():
    """Let the system take what is still to be printed, which nobody can receive."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_closed_streams():
    """Let what the shell has closed be the null device, in workers, too.

    No file shall take its number, and no progress bar fail.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, that of `name`
            os.set_inheritable(null, True)
            setattr(sys, name, open(null, mode, encoding="utf-8"))


def say(sentence):
    """The sentence on one line, values cut, with escapes for what no terminal shall obey."""
    return cut_values(printable(sentence))


def cut_values(sentence):
    """The sentence with quotations, and words between slashes, cut at 80 characters."""
    sentence = re.sub(r"""(?<!\w)(['"])((?:(?!\1).){80})(?:(?!\1).)+\1""", r"\1\2...\1", sentence)
    return re.sub(r"([^\s/]{80})[^\s/]{4,}", r"\1...", sentence)


def stop_alike():
    """Let the signals that end a process do what Ctrl-C does, but for one that it shall not see."""
    for number in STOPS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def set_blas_threads(options):
    """Let BLAS have one thread where the shards of a training's batches have one each.

    NumPy reads these names when it is loaded, which comes later; what a user has set stays. Not so
    for a table: each of its trainings has one thread, so that no number depends on --jobs.
    """
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")
    if "jobs" in vars(options):
        os.environ.update(dict.fromkeys(names, "1"))
    if "resume" not in vars(options):  # no training
        return
    from mbref.data.files import read_json

    threads = options.threads or 1
    with suppress(OSError, ValueError, LookupError, TypeError):  # `train` says what is wrong there
        if options.resume:
            threads = read_json(f"{options.resume}/run.json")["settings"]["threads"]
    if threads != 1:
        for name in names[:3]:
            os.environ.setdefault(name, "1")


def run(options):
    """Import what the command needs, and no more, and call it.  -> exit code, None for 0."""
    module, _, function = options.run.rpartition(".")
    if not module.startswith("mbref."):  # of notebooks/, which no wheel has
        from mbref.data.shipped import find_clone

        sys.path.insert(0, str(find_clone()))
    return getattr(import_module(module), function)(options)


if __name__ == "__main__":
    gc.set_threshold(20_000)  # a step makes thousands of objects, and hardly one is in a cycle
    sys.exit(main())
