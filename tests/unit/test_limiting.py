"""The counts of calls: what is admitted, what is refused, and that nothing is kept."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from support import wire

from modelkeep.domain import errors, pace
from modelkeep.transport import limiting

FREE = limiting.Allowance(0, 0)
ONE = limiting.Allowance(10, 2)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limiter(clock: Clock | None = None, **limits: int) -> limiting.Limiter:
    return limiting.Limiter(
        limiting.Limits(allowances=(ONE, ONE, ONE, ONE), **limits), clock or Clock()
    )


@contextlib.contextmanager
def called(
    limits: limiting.Limiter, method: str = "GetModel", principal: str = "p", connection: str = "c"
) -> Iterator[None]:
    with limits.slot() as slot:
        slot.enter()
        slot.claim(method, principal, connection)
        yield


def refusal(limits: limiting.Limiter, *call: str) -> errors.Throttled:
    before = sum(limits.refused.values())
    with pytest.raises(errors.Throttled) as raised, called(limits, *call):
        pass
    assert sum(limits.refused.values()) == before + 1
    return raised.value


def test_one_call_too_many_at_once_is_refused_and_the_next_principal_is_not() -> None:
    limits = limiter()
    with called(limits), called(limits):
        told = refusal(limits)
        assert told.metadata == {"limit": "small_calls_at_once", "allowed": "2"}
        assert told.retry_after_s == 1
        with called(limits, "GetModel", "q"), called(limits, "SearchVersions"):
            pass
    with called(limits):
        pass
    assert limits.running == 0


def test_a_burst_is_allowed_then_the_pace_is_kept_to_the_millisecond() -> None:
    clock = Clock()
    limits = limiter(clock)
    for _ in range(20):
        with called(limits):
            pass
    told = refusal(limits)
    assert told.metadata["limit"] == "small_calls_per_s"
    assert told.retry_after_s == pytest.approx(0.1)
    clock.now += told.retry_after_s - 0.001
    refusal(limits)
    clock.now += 0.002
    with called(limits):
        pass
    refusal(limits)
    clock.now += 3600
    for _ in range(20):
        with called(limits):
            pass
    refusal(limits)


def test_streams_of_a_connection_are_counted_apart_from_calls() -> None:
    limits = limiter(streams_per_connection=2)
    with called(limits, "Watch"), called(limits, "ReadBlob", "q"), called(limits, "GetModel"):
        assert refusal(limits, "WriteUpload", "r").metadata["limit"] == "streams_per_connection"
        with called(limits, "WriteUpload", "r", "other"):
            pass
    with called(limits, "WriteUpload", "r"):
        pass


def test_the_server_as_a_whole_has_a_limit_before_anybody_is_known() -> None:
    limits = limiter(running_calls=1)
    with called(limits):
        with limits.slot() as slot, pytest.raises(errors.Throttled) as raised:
            slot.enter()
        assert raised.value.metadata["limit"] == "running_calls"
        assert limits.running == 1
    assert limits.running == 0


def test_who_asks_for_nothing_is_forgotten() -> None:
    clock = Clock()
    limits = limiter(clock)
    with called(limits, "Watch", "stays"):
        for number in range(5000):
            clock.now += 1
            with called(limits, "GetModel", f"p-{number}"):
                pass
        assert len(limits._shares) <= 1025
        assert "stays" in limits._shares


def test_no_limit_at_all_refuses_nothing() -> None:
    limits = limiting.Limiter()
    with contextlib.ExitStack() as stack:
        for _ in range(10_000):
            stack.enter_context(called(limits, "Watch"))
    assert not limits.refused


def test_methods_named_here_are_in_the_contract() -> None:
    """A method that was renamed would silently count as small."""
    known = {method.name for service in wire.SERVICES for method in service.methods}
    assert known >= limiting.EXPENSIVE
    streams = {
        method.name
        for service in wire.SERVICES
        for method in service.methods
        if method.server_streaming and limiting.kind_of(method.name) is limiting.Kind.SMALL
    }
    assert not streams
    assert limiting.kind_of("WriteUpload") is limiting.Kind.STREAM


def test_a_deadline_that_is_too_long_is_cut_and_a_short_one_left_to_grpc() -> None:
    limits = limiter(deadline_s=60)
    assert limits.timeout_s(None, 30) == 30
    assert limits.timeout_s(59, 30) is None
    assert limits.timeout_s(61, 30) == 60
    assert limiter().timeout_s(10**9, 30) is None


def test_a_sender_is_judged_by_the_time_that_we_waited() -> None:
    slow = pace.Pace(60, 1024)
    assert slow.keeps(59, 1)
    assert not slow.keeps(59, 1)
    steady = pace.Pace(60, 1024)
    assert all(steady.keeps(1, 1024) for _ in range(1000))
    assert all(pace.Pace(60, 0).keeps(100, 0) for _ in range(3))
    # What came fast before is no credit for ever.
    assert steady.keeps(59, 10**9)
    assert steady.keeps(30, 1)
    assert not steady.keeps(59, 1)


class Calls(RuleBasedStateMachine):
    """Calls that begin and end in any order: what is held is what is counted, always."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.limits = limiter(self.clock, running_calls=7, streams_per_connection=3)
        self.open: list[tuple[str, str, str]] = []

    @rule(
        target=held,
        method=st.sampled_from(["GetModel", "SearchVersions", "ReadBlob", "Watch"]),
        principal=st.sampled_from("ab"),
        connection=st.sampled_from("xy"),
    )
    def begin(self, method: str, principal: str, connection: str) -> object:
        call, opened = (method, principal, connection), contextlib.ExitStack()
        try:
            opened.enter_context(called(self.limits, *call))
        except errors.Throttled:
            return None
        self.open.append(call)
        return opened, call

    @rule(call=consumes(held))
    def end(self, call: tuple[contextlib.ExitStack, tuple[str, str, str]] | None) -> None:
        if call is not None:
            call[0].close()
            self.open.remove(call[1])

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def counts_are_true(self) -> None:
        assert self.limits.running == len(self.open) <= 7
        for principal in "ab":
            share = self.limits._shares.get(principal)
            running = sum(share.running) if share else 0
            assert running == sum(call[1] == principal for call in self.open)
            assert not share or max(share.running) <= 2
        streams = [call[2] for call in self.open if call[0] in {"ReadBlob", "Watch"}]
        assert self.limits._streams == {one: streams.count(one) for one in set(streams)}


TestCalls = Calls.TestCase
