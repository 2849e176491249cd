"""mbref: the executable specification of ATRank, DMRAN, HierSRec and HMAR."""

__version__ = "0.1.0"
