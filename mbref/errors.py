"""The one exception that means "the input is at fault, and this sentence says how to mend it"."""


class InputError(ValueError):
    """Bad file, option or argument. Its message is one sentence; the command line prints it and exits with 2."""
