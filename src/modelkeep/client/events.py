"""Calls about what happened: follow a namespace's events, and list them."""

from collections.abc import AsyncIterator

import grpc

from modelkeep.client import (
    connection,
    errors,
    event_convert,
    event_records,
    patience,
    progress,
    refs,
)
from modelkeep.v1 import event_service_pb2 as pb

EVERYTHING = event_records.EventFilter()


class EventCalls(connection.Connection):
    """Watch and list events."""

    async def watch(
        self,
        namespace: str,
        wanted: event_records.EventFilter = EVERYTHING,
        *,
        after_sequence: int | None = None,
        stall_s: float = patience.DEFAULT_STALL_S,
        position: event_records.Position | None = None,
        listener: progress.Progress | None = None,
    ) -> AsyncIterator[event_records.Event]:
        """A namespace's events, exactly once each and in order, without end.

        Goes on by itself where it stood when the connection is lost or a server stops, on
        whichever replica answers.

        Args:
            namespace: which.
            wanted: which events.
            after_sequence: what came after this; 0 from the beginning, None from now on.
            stall_s: how long to try again while no server answers, in seconds.
            position: is kept up to date, also when no event fits; may be read at any time.
            listener: hears of interruptions.

        Raises:
            InvalidRequest: reason EVENTS_COMPACTED if some of the events asked for are gone;
                `metadata["oldest_sequence"]` is the oldest that is there.
            NotFound: there is no such namespace.
            Unavailable: no server answered for so long.
        """
        at = position if position is not None else event_records.Position()
        at.sequence = after_sequence
        request = pb.WatchRequest(
            parent=refs.parse_namespace(namespace).namespace_name,
            filter=event_convert.filter_to_wire(wanted),
        )
        patient = patience.Patience(stall_s, listener or progress.Progress())
        answers = 0
        while True:
            if at.sequence is not None:
                request.after_sequence = at.sequence
            stream = self._events.Watch(request)
            try:
                async for answer in stream:
                    answers += 1
                    patient.reached(answers)
                    at.sequence = answer.checkpoint.sequence or answer.event.sequence
                    if answer.HasField("event"):
                        yield event_convert.event_from_wire(answer.event)
                failure: errors.RegistryError = errors.Unavailable("the server ended the watch")
            except grpc.aio.AioRpcError as lost:
                failure = await self._explained(lost)
            finally:
                stream.cancel()
            at.interruptions += 1
            await patient.after(failure)

    def list_events(
        self,
        namespace: str,
        wanted: event_records.EventFilter = EVERYTHING,
        *,
        after_sequence: int | None = None,
    ) -> AsyncIterator[event_records.Event]:
        """A namespace's events up to now, in order.

        Args:
            namespace: which.
            wanted: which events.
            after_sequence: what came after this; None is all that is still there.

        Raises:
            InvalidRequest: reason EVENTS_COMPACTED if some of the events asked for are gone.
        """
        parent = refs.parse_namespace(namespace).namespace_name

        async def fetch(token: str) -> tuple[list[event_records.Event], str]:
            request = pb.ListEventsRequest(
                parent=parent,
                filter=event_convert.filter_to_wire(wanted),
                after_sequence=after_sequence,
                page_size=connection.MAX_PAGE_SIZE,
                page_token=token,
            )
            page = await self._call(self._events.ListEvents, request)
            entries = [event_convert.event_from_wire(entry) for entry in page.events]
            return entries, page.next_page_token

        return connection.pages(fetch)
