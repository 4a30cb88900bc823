"""Sizes, rates, durations and ages as people read them."""

from datetime import UTC, datetime

_KIBI = 1024
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS = ((31_536_000, "y"), (2_592_000, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"))
_SHORT_S = 10
_MINUTE_S = 60
_HOUR_S = 3600
_LONGEST_GUESS_S = 48 * _HOUR_S


def size(size_bytes: float) -> str:
    """`12.3 MiB`, from bytes."""
    amount = float(size_bytes)
    for unit in _UNITS[:-1]:
        if amount < _KIBI:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIBI
    return f"{amount:.1f} {_UNITS[-1]}"


def rate(size_bytes: float, seconds: float) -> str:
    """`118.2 MiB/s`, from bytes and seconds."""
    return f"{size(size_bytes / max(seconds, 0.001))}/s"


def span(seconds: float) -> str:
    """`0.8 s`, `42 s`, `3 min 20 s` or `2 h 5 min`, from seconds."""
    if seconds < _SHORT_S:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"


def remaining(seconds: float | None) -> str:
    """`12 s left`, from seconds; nothing where that is unknown or too far to be a guess."""
    if seconds is None or seconds > _LONGEST_GUESS_S:
        return ""
    return f"{span(seconds if seconds >= _SHORT_S else round(seconds)).replace('.0', '')} left"


def age(instant: datetime | None, now: datetime | None = None) -> str:
    """`3 h ago`, from an aware instant; a dash for none."""
    if instant is None:
        return "-"
    elapsed = ((now or datetime.now(UTC)) - instant).total_seconds()
    for seconds, unit in _SPANS:
        if elapsed >= seconds:
            return f"{int(elapsed // seconds)} {unit} ago"
    return "just now"


def exact(instant: datetime | None) -> str:
    """`2026-11-24 06:30:12Z`, or a dash for none."""
    return f"{instant:%Y-%m-%d %H:%M:%S}Z" if instant else "-"


def count(number: int, noun: str) -> str:
    """`1 file`, `3 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def amount(number: int) -> str:
    """`640`, `22.7M`, `110M` or `8.03B`, with three digits that count."""
    for unit, suffix in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{float(f'{number / unit:.3g}'):g}{suffix}"
    return str(number)


def digest(text: str) -> str:
    """A digest short enough for a table; a dash for none."""
    return text[: len("sha256:") + 12] or "-"
