"""Arrays of an .npz file: those that are declared, each of its kind and number of axes.

What a file says of itself is not believed: nothing is unpacked that is larger than the file can
hold, nothing that was not asked for, and every checksum is compared.
"""
import math
import os
import stat
import zipfile
from fnmatch import fnmatchcase

import numpy as np

READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0,
               (2, 0): np.lib.format.read_array_header_2_0}
ROOM = 64  # bytes of an extra field; the smallest array takes more
MOST_PACKED = 1100  # bytes that one byte of a zip file can stand for, and some room


def read_arrays(path, declared):
    """Those arrays of a file that `declared` {name: (kinds, axes)} names.  -> {name: array}.

    kinds: letters of dtype.kind, "iu" for whole numbers; axes: how many, None for any. A name with
    * stands for any number of arrays, one without it must be there.
    Raises OSError for a file that cannot be opened, ValueError with the reason for a damaged one.
    """
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            raise ValueError("it is a pipe")
        with zipfile.ZipFile(path) as z:
            require_all_members(z)
            members = [name.removesuffix(".npy") for name in z.namelist()]
            missing = [name for name in declared if "*" not in name and name not in members]
            if missing:
                raise ValueError(f"it has no {', '.join(missing)}")
            return {name: unpack(z, name, *rule) for name in members
                    for pattern, rule in declared.items() if fnmatchcase(name, pattern)}
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a file may be damaged in any way
        raise ValueError(str(error)[:200] or type(error).__name__) from error


def require_all_members(z):
    """Raise ValueError if there is room for an array between those that a zip file lists."""
    listed = sorted((one.header_offset, one.compress_size + 30 + len(one.filename.encode()))
                    for one in z.infolist())  # 30 bytes and the name stand before the content
    starts, ends = [*(start for start, _ in listed), z.start_dir], [0, *map(sum, listed)]
    if any(start - end > ROOM for start, end in zip(starts, ends, strict=True)):
        raise ValueError("its list of arrays is damaged")


def unpack(z, name, kinds="biufU", axes=None):
    """One array of an open zip file. Raises what there is to raise if it is damaged."""
    info = z.getinfo(f"{name}.npy")
    with z.open(info) as file:
        shape, _, dtype = READ_HEADER[np.lib.format.read_magic(file)](file)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if dtype.kind not in kinds or axes not in (None, len(shape)):
        raise ValueError(f"{name} is {dtype} of shape {shape}")
    if size != info.file_size or size > MOST_PACKED * (info.compress_size + 1):
        raise ValueError(f"{name} has not the size that it declares")
    with z.open(info) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        file.read()  # at the end the checksum is compared
    return array
