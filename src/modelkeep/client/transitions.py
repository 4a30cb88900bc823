"""Calls about transitions: ask for a move, approve or reject it, commit it, wait for it."""

from collections.abc import AsyncIterator, Collection

from modelkeep.client import (
    calls,
    connection,
    errors,
    event_records,
    events,
    refs,
    transition_records,
)
from modelkeep.v1 import lifecycle_service_pb2 as pb

State = transition_records.TransitionState
Transition = transition_records.Transition


class TransitionCalls(events.EventCalls):
    """Move versions by requests that others approve."""

    async def request_transition(self, version: str, stage: str, *, reason: str) -> Transition:
        """Ask for a sealed version to be moved.

        Raises:
            Refused: there is no such move, or reason TRANSITION_OPEN: it was asked for already, and
                `metadata["transition"]` names the transition.
        """
        request = pb.RequestTransitionRequest(
            parent=refs.parse_version(version).version_name,
            stage=stage,
            reason=reason,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._lifecycle.RequestTransition, request)
        return transition_records.transition_from_wire(response.transition)

    async def approve_transition(self, transition: str, *, comment: str = "") -> Transition:
        """Approve what somebody else asked for: `acme/voice@1.2.0/0123456789abcdef`."""
        request = pb.ApproveTransitionRequest(
            name=transition_records.full_name(transition),
            comment=comment,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._lifecycle.ApproveTransition, request)
        return transition_records.transition_from_wire(response.transition)

    async def reject_transition(self, transition: str, *, reason: str) -> Transition:
        """Reject what somebody else asked for; it blocks until you approve."""
        request = pb.RejectTransitionRequest(
            name=transition_records.full_name(transition),
            reason=reason,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._lifecycle.RejectTransition, request)
        return transition_records.transition_from_wire(response.transition)

    async def cancel_transition(self, transition: str, *, reason: str = "") -> Transition:
        """Give up a transition."""
        request = pb.CancelTransitionRequest(
            name=transition_records.full_name(transition),
            reason=reason,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._lifecycle.CancelTransition, request)
        return transition_records.transition_from_wire(response.transition)

    async def commit_transition(self, transition: str) -> transition_records.CommittedTransition:
        """Make the move that was asked for.

        Raises:
            Refused: reason GATES_FAILED, and `violations` names each gate that is not met; a
                rejection stands; or the transition has ended.
        """
        request = pb.CommitTransitionRequest(
            name=transition_records.full_name(transition), request_id=calls.new_request_id()
        )
        response = await self._call(self._lifecycle.CommitTransition, request)
        return transition_records.committed_from_wire(response)

    async def get_transition(self, transition: str) -> Transition:
        """A transition with the verdicts of its gates."""
        request = pb.GetTransitionRequest(name=transition_records.full_name(transition))
        response = await self._call(self._lifecycle.GetTransition, request)
        return transition_records.transition_from_wire(response.transition)

    def list_transitions(
        self, where: str, *, states: Collection[State] = (), stage: str = ""
    ) -> AsyncIterator[Transition]:
        """Transitions of a namespace, a model or a version, the last first, without their gates."""
        parent = _parent(where)
        wanted = [transition_records.state_to_wire(state) for state in states]

        async def fetch(token: str) -> tuple[list[Transition], str]:
            request = pb.ListTransitionsRequest(
                parent=parent,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
                states=wanted,
                stage=stage,
            )
            page = await self._call(self._lifecycle.ListTransitions, request)
            entries = map(transition_records.transition_from_wire, page.transitions)
            return list(entries), page.next_page_token

        return connection.pages(fetch)

    async def open_transition(self, version: str, *, stage: str = "") -> Transition:
        """The one open transition of a version, to a stage if one is named.

        Raises:
            NotFound: there is none.
            BadReference: there are several; the message names them.
        """
        found = [
            one
            async for one in self.list_transitions(
                version, states=transition_records.OPEN, stage=stage
            )
        ]
        if not found:
            raise errors.NotFound(f"{version} has no open transition", reason="NO_TRANSITION")
        if len(found) > 1:
            told = ", ".join(f"{one.ref} to {one.stage}" for one in found)
            raise errors.BadReference(
                f"{version} has several open transitions; name one: {told}", reason="AMBIGUOUS"
            )
        return found[0]

    async def ensure_transition(self, version: str, stage: str, *, reason: str) -> Transition:
        """The open transition for this move: the one that is there, or a new one."""
        try:
            return await self.request_transition(version, stage, reason=reason)
        except errors.Refused as refused:
            if refused.reason != "TRANSITION_OPEN":
                raise
            return await self.get_transition(refused.metadata["transition"])

    async def wait_for_transition(self, transition: str) -> Transition:
        """Wait until a transition is not pending any more; hears of it as soon as it happens.

        It may be approved then, rejected, or have ended.
        """
        name = transition_records.full_name(transition)
        version = name.partition("/transitions/")[0]
        wanted = event_records.EventFilter(resource=version)
        namespace = name.split("/")[1]
        # Where the log stands before the state is read: what comes after is not missed.
        seen = [event.sequence async for event in self.list_events(namespace, wanted)]
        now = await self.get_transition(name)
        if now.state is not State.PENDING:
            return now
        async for _ in self.watch(namespace, wanted, after_sequence=seen[-1] if seen else None):
            now = await self.get_transition(name)
            if now.state is not State.PENDING:
                break
        return now


def _parent(where: str) -> str:
    ref = refs.parse(where)
    if not ref.model:
        return ref.namespace_name
    return refs.parse_version(where).version_name if ref.selector else ref.model_name
