"""Sends one method what nobody would send, and judges each answer."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import grpc
import hypothesis
from fuzz import judging, messages, worlds
from google.protobuf import descriptor, message_factory
from hypothesis import strategies as st

TIMEOUT_S = 30.0
ANSWERS = 3
"""So many answers of a stream are read; then it is cancelled."""
SEEDS = 40
"""So many valid requests of a method are kept to be changed."""
DULL = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


class Attack:
    """One method of one server, and what was found to be worth sending to it."""

    def __init__(
        self, channel: grpc.Channel, method: descriptor.MethodDescriptor, tally: judging.Tally
    ) -> None:
        self._method = method
        self._tally = tally
        self._path = f"/{method.containing_service.full_name}/{method.name}"
        self._channel = channel
        self._likely: dict[str, list[str]] = {}
        self._recorded: list[bytes] = []

    def run(self, world: worlds.World, valid: list[bytes], count: int, seed: int) -> None:
        """Send so many messages: random ones, valid ones changed, and valid ones spoilt.

        Args:
            world: what to aim at.
            valid: requests of the method that were answered well.
            count: how many.
            seed: the same sends the same, to the same server.
        """
        self._recorded += valid[-SEEDS:]
        self._aim(world)
        kind = self._method.input_type
        self._draw(messages.messages(kind, self._texts), count // 4, seed)
        kept = list(dict.fromkeys(self._recorded))[:SEEDS] or [b""]
        self._draw(messages.changed(kind, kept, self._texts), count // 4, seed)
        self._spoil(count - 2 * (count // 4), seed)

    def _draw(self, wanted: st.SearchStrategy[Any], count: int, seed: int) -> None:
        if self._method.client_streaming:
            wanted = st.lists(wanted, min_size=1, max_size=3)
        found = hypothesis.settings(
            max_examples=max(count, 1),
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.seed(seed)(found(hypothesis.given(wanted)(self._try)))()

    def _aim(self, world: worlds.World) -> None:
        """Learn by trying which kinds of resources of the world each field takes."""
        kind = message_factory.GetMessageClass(self._method.input_type)
        self._likely = {"": [*world.names, *world.refs, *world.words]}
        self._likely |= dict.fromkeys(("ref", "from_ref", "to_ref", "refs"), world.refs)
        by_kind = {_kind_of(name): name for name in world.names}
        for field in self._method.input_type.fields:
            if field.name in {"name", "parent"}:
                taken = {
                    kind_of
                    for kind_of, name in by_kind.items()
                    if f"{field.name}: " not in self._send(kind(**{field.name: name}))
                }
                fitting = [name for name in world.names if _kind_of(name) in taken]
                self._likely[field.name] = fitting or world.names

    def _texts(self, field: descriptor.FieldDescriptor) -> Sequence[str]:
        return self._likely.get(field.name, self._likely[""])

    def _try(self, asked: Any) -> None:
        self._send(asked)

    def _send(self, asked: Any) -> str:
        """Send it; what the server said."""
        several = asked if isinstance(asked, list) else [asked]
        return self._send_raw([one.SerializeToString() for one in several], asked)

    def _send_raw(self, raw: list[bytes], shown: object) -> str:
        error: Any = None
        try:
            self._call(raw)
        except grpc.RpcError as failed:
            error = failed
        code = self._tally.judge(self._method.name, shown, error)
        if code not in DULL:
            self._recorded += raw
        return error.details() if error else ""

    def _call(self, raw: list[bytes]) -> None:
        if self._method.client_streaming:
            answers: Any = self._channel.stream_stream(self._path)(iter(raw), timeout=TIMEOUT_S)
        elif self._method.server_streaming:
            answers = self._channel.unary_stream(self._path)(raw[0], timeout=TIMEOUT_S)
        else:
            self._channel.unary_unary(self._path)(raw[0], timeout=TIMEOUT_S)
            return
        endless = self._method.name == "Watch"
        for _ in itertools.islice(answers, 1 if endless else ANSWERS):
            pass
        answers.cancel()

    def _spoil(self, count: int, seed: int) -> None:
        dice = random.Random(seed)
        kept = self._recorded or [b""]
        for _ in range(count):
            several = dice.randint(1, 3) if self._method.client_streaming else 1
            raw = [
                messages.spoilt(dice.choice(kept), dice.choice(kept), dice) for _ in range(several)
            ]
            self._send_raw(raw, raw)


def _kind_of(name: str) -> str:
    """The nouns of a resource name."""
    return "/".join(name.split("/", 8)[::2])
