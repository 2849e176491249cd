"""Run cases in a child process: one that hangs, or ends its process, loses no other case."""
import multiprocessing

from mbref.check import run
from mbref.errors import require


def run_apart(functions, backend, chosen, dtypes, gradients, seconds):
    """As run.run, with at most `seconds` for a case.  -> iterator of run.Result.

    Raises InputError where a process cannot be forked.
    """
    require("fork" in multiprocessing.get_all_start_methods(),
            "--timeout needs a system that forks processes, such as Linux: leave it out.")
    context, jobs = multiprocessing.get_context("fork"), run.list_jobs(functions, chosen, dtypes)
    while jobs:
        here, there = context.Pipe(duplex=False)
        args = there, functions, backend, jobs, gradients
        child = context.Process(target=send_results, args=args, daemon=True)
        child.start()
        there.close()
        why = ""
        while jobs and not why:
            (case, dtype, _), *jobs = jobs
            result, why = receive(child, here, seconds)
            yield result or run.fail(case, dtype, gradients, why)
        child.kill()
        child.join()


def send_results(pipe, functions, backend, jobs, gradients):
    """The child's part."""
    for case, dtype, steps in jobs:
        pipe.send(run.run_case(case, functions[case.component], backend, dtype, gradients, steps))


def receive(child, pipe, seconds):
    """The child's next Result, or None and why there is none."""
    try:
        if pipe.poll(seconds):
            return pipe.recv(), ""
    except EOFError:
        child.join()
        return None, f"it ended the process with exit code {child.exitcode}"
    return None, f"it took more than {seconds:g} s"
