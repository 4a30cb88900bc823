"""The history of an environment, answered by SQL, against one folded in Python."""

import datetime
import itertools
from dataclasses import dataclass, field

import grpc
import hypothesis
from hypothesis import strategies
from support import deploying, wire

from modelkeep.v1 import deployment_service_pb2 as pb

_SETTINGS = hypothesis.settings(
    max_examples=20,
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
    ],
)
SKEW = datetime.timedelta(minutes=5)
TICK = datetime.timedelta(microseconds=1)
STEP = datetime.timedelta(minutes=3)
"""So that one step back is within what clocks may differ by, and two are not."""
BEGIN = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(days=10)
_environments = itertools.count()
OPERATIONS = strategies.lists(
    strategies.tuples(strategies.sampled_from(["record", "end"]), strategies.integers(0, 9)),
    min_size=1,
    max_size=8,
)


@dataclass
class Fold:
    """What the rules make of a sequence of reports: periods, of which the last may be open."""

    periods: list[list[datetime.datetime | None]] = field(default_factory=list)

    @property
    def running(self) -> list[datetime.datetime | None] | None:
        return self.periods[-1] if self.periods and self.periods[-1][1] is None else None

    def record(self, at: datetime.datetime) -> bool:
        edges = [end for _, end in self.periods if end]
        if self.running and self.running[0]:
            edges.append(self.running[0] + TICK)
        if edges and at < max(edges) - SKEW:
            return False
        start = max([at, *edges])
        if self.running:
            self.running[1] = start
        self.periods.append([start, None])
        return True

    def end(self, at: datetime.datetime) -> bool:
        if not self.running or not self.running[0] or at < self.running[0] - SKEW:
            return False
        self.running[1] = max(at, self.running[0] + TICK)
        return True

    def at(self, instant: datetime.datetime) -> list[int]:
        return [
            n
            for n, (start, end) in enumerate(self.periods)
            if start and start <= instant and (end is None or instant < end)
        ]

    @property
    def boundaries(self) -> set[datetime.datetime]:
        edges = {edge for period in self.periods for edge in period if edge}
        return {edge + around for edge in edges for around in (-TICK, 0 * TICK, TICK)}


@hypothesis.given(OPERATIONS)
@_SETTINGS
async def test_what_ran_at_any_instant_is_what_the_reports_say(
    stubs: wire.Stubs, operations: list[tuple[str, int]]
) -> None:
    place = await _place(stubs)
    fold, names = Fold(), list[str]()
    for operation, steps in operations:
        at = BEGIN + steps * STEP
        if operation == "record":
            await _record(place, fold, names, at)
        elif fold.running:
            await _end(place, fold, names[-1], at)
    for instant in sorted(fold.boundaries):
        found = {one.name for one in await _history(place, instant)}
        assert found == {names[n] for n in fold.at(instant)}, instant
    assert [one.name for one in await _history(place)] == names[::-1]


async def _place(stubs: wire.Stubs) -> deploying.Deployed:
    """An environment of its own; the model has been made once."""
    model = await deploying.model_once(stubs)
    created = await stubs.deployments.CreateEnvironment(
        pb.CreateEnvironmentRequest(
            parent=model.rpartition("/models/")[0],
            environment_id=f"e{next(_environments)}",
            environment=pb.Environment(stages=["development"]),
        )
    )
    return deploying.Deployed(stubs, model, created.environment.name)


async def _record(
    place: deploying.Deployed, fold: Fold, names: list[str], at: datetime.datetime
) -> None:
    if fold.record(at):
        names.append((await place.record("1.0.0", start_time=at)).name)
    else:
        refused = await wire.failing(place.record("1.0.0", start_time=at))
        assert refused.reason == "DEPLOYMENT_OVERLAPS"


async def _end(place: deploying.Deployed, fold: Fold, name: str, at: datetime.datetime) -> None:
    if fold.end(at):
        await place.end(name, end_time=at)
    else:
        refused = await wire.failing(place.end(name, end_time=at))
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT


async def _history(
    place: deploying.Deployed, as_of: datetime.datetime | None = None
) -> list[pb.Deployment]:
    request = pb.GetDeploymentHistoryRequest(
        parent=place.model, environment=place.environment.rpartition("/")[2], as_of=as_of
    )
    return list((await place.stubs.deployments.GetDeploymentHistory(request)).deployments)
