"""What can go wrong between this machine and the store; no text of it holds a signed URL."""


class StoreAway(Exception):
    """The store does not answer, or cannot serve now; `was_reached` if it was connected to."""

    def __init__(self, why: str, *, was_reached: bool = True) -> None:
        super().__init__(why)
        self.was_reached = was_reached


class StoreRefusal(Exception):
    """The store answered, and not with success."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"HTTP {status}{f', {code}' if code else ''}")
        self.status = status
        self.code = code


class StoreDamage(Exception):
    """The bytes that came are not those that were asked for."""
