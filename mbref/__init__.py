"""mbref: the executable specification of ATRank, DMRAN, HierSRec and HMAR."""

__version__ = "0.1.0"


def plain():
    """A context manager: inside, models run on the forms that autograd differentiates by itself.

    The fast forms of nn/ compute the same, up to rounding.
    """
    from mbref.nn import vjps  # here, so that `--help` waits for no library

    return vjps.plain()
