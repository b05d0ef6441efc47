"""Lengths of time and sizes, as people read them: in channels, in notices, on the command line."""

from typing import Final

GB: Final = 10**9  # what a disk's maker and Discord's own pages mean by it

_UNITS_S: Final = (("days", 86_400), ("h", 3_600), ("min", 60))
_UNITS_BYTES: Final = (("GB", GB), ("MB", 10**6), ("kB", 10**3))


def duration_text(seconds: float) -> str:
    """A length of time, in whole units of which there are two or more: `119 s`, `2 min`."""
    for unit, unit_s in _UNITS_S:
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def size_text(size_bytes: float) -> str:
    """A size in units of a thousand: `999 bytes`, `1.2 MB`."""
    for unit, unit_bytes in _UNITS_BYTES:
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:,.1f} {unit}"
    return f"{size_bytes:.0f} bytes"
