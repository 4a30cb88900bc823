"""Windows in which nothing moves, by clocks that are put forward and back."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import checks, errors, freezes

UTC = datetime.UTC


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekly(days: str, begin: str, until: str) -> freezes.Weekly:
    return freezes.Weekly(tuple(days.split()), freezes.minute_of(begin), freezes.minute_of(until))


def period(start: str, end: str) -> freezes.Period:
    return freezes.Period(freezes.moment_of(start), freezes.moment_of(end))


def is_frozen(window: freezes.Window, instant: str, zone: str = "Europe/Berlin") -> bool:
    return freezes.find_frozen(zone, (window,), at(instant)) is not None


# In Berlin clocks go from 02:00 to 03:00 on 2026-03-29 (01:00Z), and back on 2026-10-25 (01:00Z).
@pytest.mark.parametrize(
    ("window", "frozen", "free"),
    [
        (  # one evening of winter, one of summer: the same by the clock, another instant
            weekly("fri", "16:00", "24:00"),
            ["2026-01-09T15:00", "2026-01-09T22:59", "2026-07-10T14:00", "2026-07-10T21:59"],
            ["2026-01-09T14:59", "2026-01-09T23:00", "2026-07-10T13:59", "2026-07-10T22:00"],
        ),
        (  # over midnight and over the hour that is left out: it lasts nine hours, not ten
            weekly("sat", "20:00", "06:00"),
            ["2026-03-28T19:00", "2026-03-29T00:59", "2026-03-29T01:00", "2026-03-29T03:59"],
            ["2026-03-28T18:59", "2026-03-29T04:00"],
        ),
        (  # over midnight and over the hour that comes twice: it lasts eleven hours
            weekly("sat", "20:00", "06:00"),
            ["2026-10-24T18:00", "2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T04:59"],
            ["2026-10-24T17:59", "2026-10-25T05:00"],
        ),
        (  # within the hour that comes twice: both times
            weekly("sun", "02:15", "02:45"),
            ["2026-10-25T00:15", "2026-10-25T00:59", "2026-10-25T01:44"],
            ["2026-10-25T00:14", "2026-10-25T01:45"],
        ),
        (  # within the hour that is left out: longer rather than not at all
            weekly("sun", "02:15", "02:45"),
            ["2026-03-29T00:45", "2026-03-29T01:15"],
            ["2026-03-29T00:14", "2026-03-29T01:45"],
        ),
        (
            period("2026-12-20T18:00", "2027-01-04T08:00"),
            ["2026-12-20T17:00", "2026-12-25T12:00", "2027-01-04T06:59"],
            ["2026-12-20T16:59", "2027-01-04T07:00"],
        ),
        (  # from one offset to another
            period("2026-03-28T12:00", "2026-03-30T12:00"),
            ["2026-03-28T11:00", "2026-03-30T09:59"],
            ["2026-03-28T10:59", "2026-03-30T10:00"],
        ),
    ],
)
def test_a_window_is_where_its_clocks_say(
    window: freezes.Window, frozen: list[str], free: list[str]
) -> None:
    assert [one for one in frozen if not is_frozen(window, one)] == []
    assert [one for one in free if is_frozen(window, one)] == []


def test_a_window_is_told_with_its_end() -> None:
    windows = (weekly("mon", "00:00", "01:00"), weekly("fri", "16:00", "24:00"))
    found = freezes.find_frozen("Europe/Berlin", windows, at("2026-07-10T14:00"))
    assert found is not None
    assert (str(found[0]), found[1]) == ("fri 16:00 to 24:00", at("2026-07-10T22:00"))


@given(
    st.integers(0, 10 * 366 * 24 * 60),
    st.sampled_from(["Europe/Berlin", "UTC", "America/New_York", "Australia/Lord_Howe"]),
    st.integers(0, 1439),
    st.integers(1, 1440),
)
def test_every_day_has_each_window_and_no_instant_of_its_clock_is_missed(
    minutes: int, zone: str, begin: int, end: int
) -> None:
    if begin == end:
        return
    now = at("2020-01-01T00:00") + datetime.timedelta(minutes=minutes)
    local = now.astimezone(zoneinfo.ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    inside = begin <= minute < end if begin < end else minute >= begin or minute < end
    window = freezes.Weekly(freezes.DAYS, begin, end)
    if inside:
        assert freezes.find_frozen(zone, (window,), now) is not None


@pytest.mark.parametrize("text", ["24:01", "25:00", "1:00", "12:60", "", "noon", "12:00:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="not a time"):
        freezes.minute_of(text)


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00", "2026-12-20T18:00+01:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        freezes.moment_of(text)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "localtime", "../../etc/passwd", "berlin"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="time zone"), checks.Checks() as found:
        freezes.check_zone(found, "time_zone", zone)


def test_windows_that_never_are_are_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="after start"):
        period("2026-12-20T18:00", "2026-12-20T18:00")
    with pytest.raises(errors.InvalidArgument, match="when it begins"):
        weekly("mon", "10:00", "10:00")
    with pytest.raises(errors.InvalidArgument, match="not a day"):
        weekly("montag", "10:00", "11:00")
