"""The one exception that means "the input is at fault, and this sentence says how to mend it"."""


class InputError(ValueError):
    """Bad file, option or argument. Its message is one sentence; the command line prints it and exits with 2."""


def require(condition, sentence):
    """Raise InputError(sentence) unless the condition holds."""
    if not condition:
        raise InputError(sentence)


def require_choice(config, **choices):
    """Raise InputError unless every named field of `config` has one of its allowed values."""
    for name, allowed in choices.items():
        value = getattr(config, name)
        require(value in allowed, f"{name} is {value!r}: choose one of {', '.join(allowed)}.")
