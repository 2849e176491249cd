"""Command line: python -m mbref COMMAND; --help lists the commands. Exit code 2: mend the input."""
import io
import os
import signal
import sys
from importlib import import_module

from mbref.errors import InputError
from mbref.options import parser


def main(arguments=None):
    """Run one command, that of the shell without `arguments`.  -> exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that knows no ± gets an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if arguments is None:
            stop_alike()
            arguments = sys.argv[1:]
        if "" in arguments:
            number = arguments.index("") + 1
            raise InputError(f"argument {number} is empty: is a shell variable not set?")
        top = parser()
        options = top.parse_args(arguments)
        code = run(options) if options.run else top.print_help()
        sys.stdout.flush()  # so that a closed pipe shows here
        return code or 0
    except InputError as error:
        print(f"mbref: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"mbref: not enough memory ({error}): choose smaller sizes.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmbref: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads our output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def stop_alike():
    """Let the signals that end a process do what Ctrl-C does, but for one that it shall not see."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def run(options):
    """Import what the command needs, and no more, and call it.  -> exit code, None for 0."""
    module, _, function = options.run.rpartition(".")
    return getattr(import_module(module), function)(options)


if __name__ == "__main__":
    sys.exit(main())
