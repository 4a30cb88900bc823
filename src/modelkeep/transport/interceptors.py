"""What surrounds every RPC of ours: request id, log line, errors, authentication, deadline."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from modelkeep.authz import caller as callers
from modelkeep.domain import errors, sight
from modelkeep.transport import authentication, crowding, limiting, redirects, wire_chunks
from modelkeep.transport import errors as wire_errors

OUR_SERVICES = "/modelkeep.v1."
REQUEST_ID = authentication.REQUEST_ID
DEFAULT_DEADLINE_S = 30.0

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
T = TypeVar("T")
_MALFORMED = object()
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Crowded:
    """Stands for a message with too many entries, `field` among them."""

    field: str


class CallObserver(Protocol):
    """Is told of every call; must neither raise nor wait."""

    def began(self, method: str) -> None:
        """A call of the method has come in."""

    def ended(self, method: str, code: str, seconds: float) -> None:
        """It is over, with this status code, after so long."""


class DenialObserver(Protocol):
    """Is told of every call that was denied, before its caller is; must not raise."""

    async def note(
        self, caller: callers.Caller, denied: errors.PermissionDenied, *, hidden: bool = False
    ) -> None:
        """The caller may not do this; or not even know that it could be done."""


class Scope(grpc.aio.ServerInterceptor):
    """Wraps the handlers of our services, each once; others (health, reflection) pass through."""

    def __init__(
        self,
        directory: redirects.Directory,
        authenticating: authentication.Authentication,
        observer: CallObserver | None = None,
        denials: DenialObserver | None = None,
        *,
        limiter: limiting.Limiter | None = None,
    ) -> None:
        self._directory = directory
        self._limiter = limiter or limiting.Limiter()
        self._authenticating = authenticating
        self._denials = denials
        self._observer = observer
        self._wrapped: dict[str, Handler] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._log = _log.bind()  # or each line looks for it again

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeHandler:
        """Answer the wrapped handler of a method of ours."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(OUR_SERVICES):
            return handler
        self._wrapped[method] = self._wrap(handler, method.rpartition("/")[2])
        return self._wrapped[method]

    async def wait_idle(self) -> None:
        """Wait until no call of ours runs; `server.stop` returns before handlers have ended."""
        while self._running:
            await asyncio.wait(self._running)

    def _wrap(self, handler: Handler, method: str) -> Handler:
        unary: Any = handler.unary_unary
        if unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(unary, method),
                request_deserializer=_tolerant(handler.request_deserializer),
                response_serializer=_unless_written(handler.response_serializer),
            )
        behaviour: Any = handler.unary_stream or handler.stream_stream
        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.unary_stream
            else grpc.stream_stream_rpc_method_handler
        )
        checked = _well_formed if handler.unary_stream else _each_well_formed
        return make(
            self._stream(behaviour, method, checked),
            request_deserializer=_tolerant(
                wire_chunks.READERS.get(method, handler.request_deserializer)
            ),
            response_serializer=wire_chunks.WRITERS.get(method, handler.response_serializer),
        )

    def _unary(self, behaviour: Callable[[Any, Context], Awaitable[Any]], method: str) -> Any:
        async def call(request: Any, context: Context) -> Any:
            async def body(_origin: authentication.Origin) -> Any:
                message = _well_formed(request)
                # With a deadline of the caller's, unless it is too long, gRPC itself cancels us.
                remaining_s = context.time_remaining()
                ours_s = self._limiter.timeout_s(remaining_s, usual_s=DEFAULT_DEADLINE_S)
                if ours_s is None:
                    return await redirects.answer(self._directory, behaviour, message, context)
                async with asyncio.timeout(ours_s):
                    return await redirects.answer(self._directory, behaviour, message, context)

            return await self._answered(method, context, body)

        return call

    def _stream(
        self,
        behaviour: Callable[[Any, Context], AsyncGenerator[Any, None]],
        method: str,
        checked: Callable[[Any], Any],
    ) -> Any:
        async def call(request: Any, context: Context) -> None:
            async def body(origin: authentication.Origin) -> None:
                asked = checked(request)
                standing = authentication.Standing(
                    self._authenticating,
                    origin,
                    method,
                    callers.current(),
                    authentication.STANDING_S,
                )
                async with aclosing(
                    redirects.answers(self._directory, behaviour, asked, context)
                ) as responses:
                    async for response in responses:
                        await standing.require()
                        await self._write(context, response)

            await self._answered(method, context, body)

        return call

    async def _write(self, context: Context, response: Any) -> None:
        """Send one message of a stream to a caller who is to read, not only to connect."""
        stall_s = self._limiter.limits.reader_stall_s or None
        try:
            async with asyncio.timeout(stall_s):
                await context.write(response)
        except TimeoutError:
            raise errors.Unavailable(
                f"nothing was read for {stall_s} seconds; go on where you were",
                reason="READER_STALLED",
            ) from None

    async def _answered(
        self,
        method: str,
        context: Context,
        body: Callable[[authentication.Origin], Awaitable[T]],
    ) -> T:
        """What the body answers, run as the call's caller; what it raises is told in our words."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler always runs in a task
        self._running.add(task)
        sight.begin()
        origin = authentication.origin_of(context)
        line = {"method": method, "code": "OK", "principal": "", "client": origin.client}
        caller: callers.Caller | None = None
        started = time.perf_counter()
        if self._observer is not None:
            self._observer.began(method)
        with self._limiter.slot() as slot:
            try:
                slot.enter()
                caller = await self._authenticating.caller(origin, method)
                callers.set_current(caller)
                line["principal"] = caller.principal
                slot.claim(method, caller.principal, context.peer())
                return await body(origin)
            except asyncio.CancelledError:
                line["code"] = "CANCELLED"
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, the caller is told
                failure = _in_our_words(error, origin.request_id)
                line |= _outcome(failure)
            finally:
                self._running.discard(task)
                self._tell(line, origin.request_id, time.perf_counter() - started)
            # Within the slot: who does not read what went wrong holds the stream open.
            await self._account_for(caller, failure)
            return await _abort(context, failure, origin.request_id)

    async def _account_for(
        self, caller: callers.Caller | None, failure: errors.ModelkeepError
    ) -> None:
        if self._denials is None or caller is None:
            return
        if isinstance(failure, errors.Hidden):
            await self._denials.note(caller, failure.denied, hidden=True)
        elif isinstance(failure, errors.PermissionDenied):
            await self._denials.note(caller, failure)

    def _tell(self, line: dict[str, str], request_id: str, seconds: float) -> None:
        self._log.info("rpc", **line, request_id=request_id, duration_ms=round(seconds * 1000, 2))
        if self._observer is not None:
            self._observer.ended(line["method"], line["code"], seconds)


def _in_our_words(error: Exception, request_id: str) -> errors.ModelkeepError:
    if isinstance(error, errors.ModelkeepError):
        return error
    if isinstance(error, TimeoutError):
        return errors.DeadlineExceeded("the request took too long; try again, or set a deadline")
    _log.error("rpc.unexpected_error", request_id=request_id, exc_info=error)
    return wire_errors.InternalError(request_id)


def _outcome(failure: errors.ModelkeepError) -> dict[str, str]:
    return {"code": wire_errors.code_of(failure).name, "reason": failure.reason}


async def _abort(context: Context, failure: errors.ModelkeepError, request_id: str) -> NoReturn:
    await context.abort(
        wire_errors.code_of(failure),
        wire_errors.message_of(failure),
        trailing_metadata=(
            ("grpc-status-details-bin", wire_errors.details_of(failure)),
            (REQUEST_ID, request_id),
        ),
    )


def _well_formed(message: Any) -> Any:
    """The message, unless its bytes were none of its type or it is beyond all bounds."""
    if message is _MALFORMED:
        raise errors.invalid("is not a valid message of its type", "request")
    if isinstance(message, _Crowded):
        raise errors.invalid(f"has more than {crowding.MOST:,} entries", message.field)
    return message


async def _each_well_formed(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for message in messages:
        yield _well_formed(message)


def _unless_written(serialize: Callable[[Any], bytes] | None) -> Callable[[Any], bytes]:
    """A serializer for answers that may have been written already."""
    assert serialize is not None  # noqa: S101 - generated handlers always have one
    return lambda answer: answer if type(answer) is bytes else serialize(answer)


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """A deserializer whose failure reaches the handler, instead of ending as INTERNAL."""
    assert deserialize is not None  # noqa: S101 - generated handlers always have one

    def attempt(raw: bytes) -> Any:
        try:
            message = deserialize(raw)
        except DecodeError:
            return _MALFORMED
        if len(raw) > crowding.LARGE_BYTES and isinstance(message, Message):
            field = crowding.field_of(message)
            return _Crowded(field) if field else message
        return message

    return attempt
