"""Windows of the calendar in which nothing moves, by the clocks of one time zone.

Where a clock is put forward or back at the beginning or the end of a window, that moment can be
read as two instants: a window then begins at the earlier and ends at the later reading, so that it
may last longer than it says, and never shorter.
"""

import datetime
import functools
import re
import zoneinfo
from dataclasses import dataclass

from modelkeep.domain import checks, errors

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
_MINUTES_A_DAY = 1440
_ONE_DAY = datetime.timedelta(days=1)
_UNNAMED = frozenset({"localtime", "Factory"})
"""Zones that are another on each machine, or none."""
_ENDS = datetime.datetime(9990, 1, 1)  # noqa: DTZ001 - by the clocks of a zone named elsewhere
_BEGINS = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - the same


@dataclass(frozen=True, slots=True)
class Period:
    """From one date and time to another, by the clocks of the zone; the end is not in it."""

    start: datetime.datetime
    end: datetime.datetime

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            for field, moment in (("start", self.start), ("end", self.end)):
                found.require(
                    moment.tzinfo is None, field, "has an offset; the zone is in time_zone"
                )
                bounds = _BEGINS <= moment.replace(tzinfo=None) <= _ENDS
                found.require(bounds, field, "is not between the years 1970 and 9990")
            ordered = self.start.replace(tzinfo=None) < self.end.replace(tzinfo=None)
            found.require(ordered, "end", "is not after start")

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Weekly:
    """On these days of each week, from a time to another, which may be on the day after.

    Attributes:
        days: of `DAYS`, those on which it begins.
        begin: minute of the day.
        end: minute of the day, which is not in it; 1440 is the end of the day.
    """

    days: tuple[str, ...]
    begin: int
    end: int

    def __post_init__(self) -> None:
        with checks.Checks() as found:
            found.size("days", self.days, len(DAYS), least=1)
            for n, day in enumerate(self.days[: len(DAYS)]):
                wanted = f"{checks.shown(day)} is not a day; there are {', '.join(DAYS)}"
                found.require(day in DAYS, f"days[{n}]", wanted)
            found.require(self.begin < _MINUTES_A_DAY, "from", "is after 23:59")
            found.require(self.begin != self.end, "until", "is when it begins")

    def __str__(self) -> str:
        return f"{', '.join(self.days)} {clock(self.begin)} to {clock(self.end)}"


Window = Period | Weekly
"""When nothing moves."""


def clock(minute: int) -> str:
    """`HH:MM` of a minute of the day."""
    return f"{minute // 60:02}:{minute % 60:02}"


def minute_of(text: str) -> int:
    """The minute of the day of `HH:MM`, up to 24:00, or `errors.InvalidArgument`."""
    matched = _TIME.fullmatch(text)
    minute = int(matched[1]) * 60 + int(matched[2]) if matched else _MINUTES_A_DAY + 1
    if minute > _MINUTES_A_DAY:
        raise errors.invalid(f"{checks.shown(text)} is not a time; write HH:MM, 00:00 to 24:00")
    return minute


def moment_of(text: str) -> datetime.datetime:
    """The date and time of `YYYY-MM-DDTHH:MM`, without an offset, or `errors.InvalidArgument`."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        shown = checks.shown(text)
        raise errors.invalid(f"{shown} is not a date and time; write 2026-12-20T18:00") from None
    if moment.tzinfo is not None:
        raise errors.invalid("has an offset; the zone is in time_zone")
    return moment


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - _UNNAMED


def check_zone(found: checks.Checks, field: str, name: str) -> None:
    """Note a name that is not one of the IANA time zone database."""
    wanted = f"{checks.shown(name)} is not a time zone; write Europe/Berlin or UTC, for example"
    found.require(name in _zones(), field, wanted)


def find_frozen(
    zone: str, windows: tuple[Window, ...], now: datetime.datetime
) -> tuple[Window, datetime.datetime] | None:
    """The first window that this aware instant is in, and when that is over; None if in none."""
    clocks = zoneinfo.ZoneInfo(zone)
    for window in windows:
        for start, end in _spans(window, clocks, now):
            if start <= now < end:
                return window, end
    return None


def _spans(
    window: Window, clocks: zoneinfo.ZoneInfo, now: datetime.datetime
) -> list[tuple[datetime.datetime, datetime.datetime]]:
    """Instants between which it is, as far as they can be about now."""
    if isinstance(window, Period):
        return [(_earlier(window.start, clocks), _later(window.end, clocks))]
    today = now.astimezone(clocks).date()
    spans = []
    # Yesterday's may last into today, by an hour more where the clock is put back.
    for date in (today - 2 * _ONE_DAY, today - _ONE_DAY, today):
        if DAYS[date.weekday()] in window.days:
            midnight = datetime.datetime.combine(date, datetime.time())
            start = midnight + datetime.timedelta(minutes=window.begin)
            end = midnight + datetime.timedelta(minutes=window.end)
            end += _ONE_DAY if window.end < window.begin else datetime.timedelta()
            spans.append((_earlier(start, clocks), _later(end, clocks)))
    return spans


def _readings(moment: datetime.datetime, clocks: zoneinfo.ZoneInfo) -> list[datetime.datetime]:
    """The instants that a date and time by these clocks can mean."""
    return [moment.replace(tzinfo=clocks, fold=fold).astimezone(datetime.UTC) for fold in (0, 1)]


def _earlier(moment: datetime.datetime, clocks: zoneinfo.ZoneInfo) -> datetime.datetime:
    return min(_readings(moment, clocks))


def _later(moment: datetime.datetime, clocks: zoneinfo.ZoneInfo) -> datetime.datetime:
    return max(_readings(moment, clocks))
