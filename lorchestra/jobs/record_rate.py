"""How many records a run had read at which second: few points, however long it takes."""

POINTS_MAX = 40
_FIRST_INTERVAL_SECONDS = 0.1


class RecordRate:
    """Points of (seconds since the start, records until then); at most `POINTS_MAX` and that of the end."""

    def __init__(self) -> None:
        self._interval = _FIRST_INTERVAL_SECONDS
        self._points: list[tuple[float, int]] = [(0.0, 0)]

    def note(self, seconds: float, records: int) -> None:
        """So many records by now. What is too near to the point before is left out."""
        if seconds - self._points[-1][0] < self._interval:
            return
        self._points.append((round(seconds, 3), records))
        if len(self._points) > POINTS_MAX:
            self._points = self._points[::2]
            self._interval *= 2

    def points(self, seconds: float, records: int) -> list[tuple[float, int]]:
        """All points, and that of now."""
        return [*self._points, (round(seconds, 3), records)]
