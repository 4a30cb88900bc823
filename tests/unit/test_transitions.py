"""Transitions by the rules, step by step, beside a model that says the same in other words."""

import contextlib
import dataclasses
import datetime

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from modelkeep.domain import errors, limits, names, stages, transitions

S = transitions.State
NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
VERSION = names.VersionName("acme", "voice", "1.3.0")
LIVE, OTHER = (dataclasses.replace(VERSION, version=v) for v in ("1.2.0", "1.2.1"))
NAME = names.TransitionName(VERSION, "0" * 16)
ASKED = transitions.Transition(
    NAME, stages.STAGING, stages.PRODUCTION, "why", "ann", NOON, NOON + 9 * HOUR, LIVE
)
PEOPLE = ("ann", "bob", "cyd", "dan")
NEEDED = 2


class Machine(stateful.RuleBasedStateMachine):
    """What the services do with one transition, in memory, and what must come of it.

    On one side the transition with the rules of `domain/transitions.py`; on the other plain
    variables: who stands where, whether anything around it changed, and how it ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = ASKED
        self.around = transitions.Surroundings(NOON, True, stages.STAGING, LIVE)
        self.opinions: dict[str, bool] = {}
        self.ended: transitions.State | None = None
        self.spoilt = False
        self.said = 0

    def current(self) -> transitions.Transition:
        """As `transition_states.current` has it."""
        if self.asked.state in transitions.ENDED:
            return self.asked
        over = transitions.over(self.asked, self.around)
        enough = len(transitions.approvers(self.asked.verdicts)) >= NEEDED
        state = over[0] if over else transitions.decided(self.asked.verdicts, enough=enough)
        return dataclasses.replace(self.asked, state=state)

    def expected(self) -> transitions.State:
        """The same by the model."""
        if self.ended:
            return self.ended
        if self.around.now >= ASKED.expires_at:
            return S.EXPIRED
        if self.spoilt:
            return S.STALE
        if False in self.opinions.values():
            return S.REJECTED
        return S.APPROVED if sum(self.opinions.values()) >= NEEDED else S.PENDING

    def is_open(self) -> bool:
        return self.expected() in {S.PENDING, S.APPROVED, S.REJECTED}

    def end(self, state: transitions.State) -> None:
        ending = transitions.Ending(state, self.around.now, "ann")
        self.asked = dataclasses.replace(self.asked, state=state, ended=ending)
        self.ended = state

    @stateful.rule(who=st.sampled_from(PEOPLE), approved=st.booleans())
    def judge(self, who: str, approved: bool) -> None:
        allowed = self.is_open() and who != "ann"
        with contextlib.nullcontext() if allowed else pytest.raises(errors.FailedPrecondition):
            now = self.current()
            transitions.require_open(now)
            transitions.require_other(now, who)
            transitions.require_room(now)
            verdict = transitions.Verdict(who, approved, "so", self.around.now)
            self.asked = dataclasses.replace(self.asked, verdicts=(*self.asked.verdicts, verdict))
            self.opinions[who] = approved
            self.said += 1

    @stateful.rule()
    def cancel(self) -> None:
        allowed = self.is_open()
        with contextlib.nullcontext() if allowed else pytest.raises(errors.FailedPrecondition):
            transitions.require_open(self.current())
            self.end(S.CANCELLED)

    @stateful.rule()
    def commit(self) -> None:
        allowed = self.expected() in {S.PENDING, S.APPROVED}
        with contextlib.nullcontext() if allowed else pytest.raises(errors.FailedPrecondition):
            now = self.current()
            transitions.require_open(now)
            transitions.require_unopposed(now)
            if len(transitions.approvers(now.verdicts)) >= NEEDED:  # the gate of approvals
                self.end(S.COMMITTED)
                assert sum(self.opinions.values()) >= NEEDED
                assert "ann" not in self.opinions

    @stateful.rule(hours=st.integers(1, 4))
    def wait(self, hours: int) -> None:
        self.around = dataclasses.replace(self.around, now=self.around.now + hours * HOUR)

    @stateful.rule(stage=st.sampled_from(stages.STAGES))
    def move_elsewhere(self, stage: str) -> None:
        self.around = dataclasses.replace(self.around, stage=stage)
        self.look_around()

    @stateful.rule(ready=st.booleans())
    def quarantine_or_release(self, ready: bool) -> None:
        self.around = dataclasses.replace(self.around, is_ready=ready)
        self.look_around()

    @stateful.rule(live=st.sampled_from([LIVE, OTHER, None]))
    def promote_another(self, live: names.VersionName | None) -> None:
        self.around = dataclasses.replace(self.around, production=live)
        self.look_around()

    def look_around(self) -> None:
        around = self.around
        self.spoilt = (around.is_ready, around.stage, around.production) != (True, "staging", LIVE)

    @stateful.precondition(lambda self: not self.ended)
    @stateful.rule()
    def note_the_end(self) -> None:
        """What the reaper does, at some time or never."""
        over = transitions.over(self.asked, self.around)
        assert (over is not None) == (self.expected() in {S.EXPIRED, S.STALE})
        if over:
            self.end(over[0])

    @stateful.invariant()
    def the_state_is_what_the_model_says(self) -> None:
        now = self.current()
        assert now.state is self.expected()
        assert len(now.verdicts) == self.said
        assert {v.approver: v.approved for v in transitions.counting(now.verdicts).values()} == (
            self.opinions
        )


TestMachine = Machine.TestCase
TestMachine.settings = hypothesis.settings(max_examples=200, stateful_step_count=25, deadline=None)


def verdict(who: str, approved: bool) -> transitions.Verdict:
    return transitions.Verdict(who, approved, "", NOON)


def test_the_last_verdict_of_each_counts() -> None:
    given = [verdict("bob", False), verdict("cyd", True), verdict("bob", True)]
    assert [one.approver for one in transitions.approvers(given)] == ["bob", "cyd"]
    assert transitions.decided(given, enough=True) is S.APPROVED
    given.append(verdict("cyd", False))
    assert transitions.decided(given, enough=True) is S.REJECTED
    assert transitions.decided([], enough=False) is S.PENDING


def test_a_rejection_is_told_with_its_reason() -> None:
    rejected = dataclasses.replace(
        ASKED, verdicts=(dataclasses.replace(verdict("bob", False), comment="slower"),)
    )
    with pytest.raises(errors.FailedPrecondition, match="rejected by bob: slower") as refused:
        transitions.require_unopposed(rejected)
    assert refused.value.reason == "TRANSITION_REJECTED"


def test_verdicts_are_bounded() -> None:
    many = (verdict("bob", True),) * limits.TRANSITION_VERDICTS
    with pytest.raises(errors.ResourceExhausted, match="200 verdicts"):
        transitions.require_room(dataclasses.replace(ASKED, verdicts=many))
