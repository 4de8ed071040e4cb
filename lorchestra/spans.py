"""Spans of time as people say them."""

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def span(seconds: float) -> str:
    """`0.3 s`, `42 s`, `5 min`, `26 h`, `9 d`: one unit, the largest that leaves at least two of it."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
