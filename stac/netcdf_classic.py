"""How long a NetCDF 3 file must be: the library reads zeros where one was cut off.

The header is that of the NetCDF file format specification, appendix B of its user guide: lists of
dimensions, attributes and variables, big-endian, padded to four bytes.
"""

from math import prod

_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}


class _Header:
    """A place in the header, and how wide its numbers are."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 4
        self.wide = 8 if data[3] == 5 else 4
        self.offset_width = 4 if data[3] == 1 else 8

    def number(self, width: int) -> int:
        """Read a whole number of `width` bytes, all ones as -1."""
        if self.at + width > len(self.data):
            msg = "the header ends early"
            raise ValueError(msg)
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "big", signed=True)

    def count(self) -> int:
        """Read a number that cannot exceed the bytes that are left."""
        found = self.number(self.wide)
        if not 0 <= found <= len(self.data):
            msg = f"the header counts {found} entries"
            raise ValueError(msg)
        return found

    def listed(self) -> int:
        """Read the head of a list and return its length."""
        self.number(4)
        return self.count()

    def skip(self, size: int) -> None:
        """Pass over bytes and their padding to four."""
        self.at += size + -size % 4

    def skip_attributes(self) -> None:
        """Pass over a list of attributes."""
        for _ in range(self.listed()):
            self.skip(self.count())
            size = _TYPE_SIZES.get(self.number(4), 1)
            self.skip(self.count() * size)


def required_size(data: bytes) -> int:
    """Return how many bytes a NetCDF 3 file needs, by its header [B].

    Parameters
    ----------
    data : bytes
        The file, beginning ``CDF``.

    Raises
    ------
    ValueError
        If the header itself is cut off or makes no sense.
    """
    header = _Header(data)
    records = header.number(header.wide)
    lengths = []
    for _ in range(header.listed()):
        header.skip(header.count())
        lengths.append(header.number(header.wide))
    header.skip_attributes()
    fixed, recorded = [header.at], []
    for _ in range(header.listed()):
        shape, size, begin = _variable(header, lengths)
        if shape[:1] == [0]:
            recorded.append((begin, prod(shape[1:]) * size))
        else:
            fixed.append(begin + prod(shape) * size)
    if records > 0 and recorded:
        padded = [size + -size % 4 for _, size in recorded] if len(recorded) > 1 else \
            [recorded[0][1]]  # fmt: skip
        step = sum(padded)
        fixed += [begin + (records - 1) * step + size for begin, size in recorded]
    return max(fixed)


def _variable(header: _Header, lengths: list[int]) -> tuple[list[int], int, int]:
    """Return shape (0 for records), size of a value and place of one variable."""
    header.skip(header.count())
    dims = [header.number(header.wide) for _ in range(header.count())]
    if any(not 0 <= dim < len(lengths) for dim in dims):
        msg = f"the header names dimensions {dims} of {len(lengths)}"
        raise ValueError(msg)
    header.skip_attributes()
    size = _TYPE_SIZES.get(header.number(4), 1)
    header.number(header.wide)
    return [lengths[dim] for dim in dims], size, header.number(header.offset_width)
