"""How fast somebody must send who meanwhile holds memory of ours."""


class Pace:
    """Measures one sender by the time that we wait for them, not by the time that they wait for us.

    Args:
        window_s: they are judged whenever we have waited for so long in all.
        least_bytes_per_s: what they must have sent in that time, on average; 0 takes any pace.
    """

    def __init__(self, window_s: float, least_bytes_per_s: int) -> None:
        self._window_s = window_s
        self._least_bytes_per_s = least_bytes_per_s
        self._waited_s = 0.0
        self._sent_bytes = 0

    def keeps(self, waited_s: float, size_bytes: int) -> bool:
        """Note that so many bytes came after so long; whether that is fast enough up to now."""
        self._waited_s += waited_s
        self._sent_bytes += size_bytes
        if self._waited_s < self._window_s:
            return True
        enough = self._sent_bytes >= self._least_bytes_per_s * self._waited_s
        self._waited_s, self._sent_bytes = 0.0, 0
        return enough
