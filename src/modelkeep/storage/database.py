"""The pool, transactions, and the one place where database errors become ours."""

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, cast

import asyncpg
import pydantic_core

from modelkeep.domain import errors, quotas, sight

Row = asyncpg.Record
# The stubs know these classes as generic, the classes themselves do not.
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Row]"
SingleConnection: TypeAlias = "asyncpg.Connection[Row]"

ACQUIRE_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_S = 20.0

_TAKEN = {
    "namespace_name_unique": "a namespace of that name exists",
    "model_name_unique": "a model of that name exists in the namespace, perhaps deleted",
    "model_name_taken": "that is the former name of another model, which still answers to it",
    "environment_name_unique": "an environment of that name exists in the namespace",
    "version_semver_unique": "that version exists in the model, perhaps deleted",
}
_REFUSED = {
    "version_sealed": ("the version is sealed; its content cannot change", "VERSION_NOT_DRAFT"),
    "version_file_blob_exists": ("a file of the version was never uploaded", "BLOB_MISSING"),
    "version_purged": ("a purged version stays as it is", "VERSION_PURGED"),
    "transition_append_only": ("what was said about a move never changes", "APPEND_ONLY"),
    "transition_four_eyes": ("nobody judges what they asked for themselves", "FOUR_EYES"),
    "evaluation_append_only": ("an evaluation never changes", "EVALUATION_APPEND_ONLY"),
    "deployment_append_only": ("a deployment that has ended never changes", "DEPLOYMENT_ENDED"),
    "deployment_environment_exists": (
        "something was deployed in the environment, and its history stays",
        "ENVIRONMENT_IN_USE",
    ),
    "version_deployed": ("the version is deployed; end that first", "VERSION_IN_USE"),
    "signature_append_only": ("a signature never changes", "SIGNATURE_APPEND_ONLY"),
    "trusted_signer_append_only": (
        "a trusted signer never changes; it is revoked, once",
        "SIGNER_REVOKED",
    ),
    "audit_append_only": ("the audit log is append-only", "AUDIT_APPEND_ONLY"),
}
_RACED = {
    "deployment_one_at_a_time": "another version was deployed there at the same time",
    "evaluation_superseded_once": "the evaluation was superseded by another at the same time",
    "alias_assignment_one_open": "the alias was moved by somebody else at the same time",
    "transition_one_open": "the same move was asked for by somebody else at the same time",
    "gate_policy_of_model": "the policy was made by somebody else at the same time",
    "gate_policy_of_namespace": "the policy was made by somebody else at the same time",
    "stage_assignment_one_at_a_time": "another version went to production at the same time",
    "stage_assignment_one_open": "the version was moved by somebody else at the same time",
    "stage_assignment_one_in_production": "another version went to production at the same time",
}

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.DiskFullError,
    asyncpg.QueryCanceledError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


_SESSION = {
    "application_name": "modelkeep",
    "timezone": "UTC",
    # Every statement of ours goes by an index whatever its arguments are, so planning it once is
    # enough. Left to itself Postgres plans the larger ones anew for each call.
    "plan_cache_mode": "force_generic_plan",
}


# The role is named after the owner of the tables; see migration 0025.
_BECOME_SERVER = "SELECT set_config('role', server_role(), false)"
_IS_WALLED = "SELECT row_security_active('namespace')"
_SHOW = "SELECT show_namespaces($1::text[], $2)"
_SHOW_KNOWN = """
SELECT set_config('modelkeep.sees_everything', $3, false),
set_config('modelkeep.namespaces', $1, false), set_config('modelkeep.namespace_ids', $2, false)"""


class _PooledConnection(asyncpg.Connection):
    """A connection that knows what it shows, and is given back without a reset statement.

    We set nothing else on a session that would outlive its transaction, so the extra round trip
    for each acquire would buy nothing.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # What the session shows for certain; None if that must be said again.
        self._shown: sight.Sight | None = None
        # Rows of namespaces, which never change.
        self._ids: dict[str, int] = {}

    def get_reset_query(self) -> str:
        return ""

    async def show(self, wanted: sight.Sight) -> None:
        """Show these namespaces and no others; no round trip if they are what is shown already."""
        if self._shown == wanted:
            return
        self._shown = None
        if self._ids.keys() >= wanted.namespaces:
            await self._show_known(wanted)
            self._shown = wanted
        elif await self._show_all_of(wanted):
            self._shown = wanted

    async def _show_known(self, wanted: sight.Sight) -> None:
        ids = [self._ids[name] for name in wanted.namespaces]
        everything = "on" if wanted.everything else ""
        await self.fetchrow(_SHOW_KNOWN, _array(wanted.namespaces), _array(ids), everything)

    async def _show_all_of(self, wanted: sight.Sight) -> bool:
        """False if one of them is not there: if it is made later, it must be looked for again."""
        names = list(wanted.namespaces)
        found = await self.fetchval(_SHOW, names, wanted.everything)
        if not self.is_in_transaction():  # in which it may have been made, and be taken back
            known = zip(names, found, strict=True)
            self._ids |= {name: row for name, row in known if row is not None}
        return None not in found

    def forget(self) -> None:
        """Note that nobody knows what the session shows."""
        self._shown = None


def _array(values: Iterable[object]) -> str:
    """The array as Postgres writes it; ids of namespaces need no quotes."""
    return f"{{{','.join(map(str, values))}}}"


@dataclass(slots=True)
class Waiting:
    """Totals since the start: connections had, those not had in time, and the wait for both."""

    acquired: int = 0
    refused: int = 0
    seconds: float = 0.0


class _Undone(Exception):
    """How a rehearsal ends."""


class Database:
    """A pool of connections; everything that reads or writes goes through it.

    Attributes:
        waiting: what it took to have connections.
        committed: events that were committed through this pool, by action.
    """

    def __init__(self, pool: "asyncpg.Pool[Row]") -> None:
        self._pool = pool
        self.waiting = Waiting()
        self.committed: collections.Counter[str] = collections.Counter()

    @property
    def open_connections(self) -> int:
        """Connections of the pool that are open now."""
        return self._pool.get_size()

    @property
    def idle_connections(self) -> int:
        """Those of them that nobody uses."""
        return self._pool.get_idle_size()

    @property
    def most_connections(self) -> int:
        """How many the pool may open."""
        return self._pool.get_max_size()

    @classmethod
    async def open(cls, url: str, pool_size: int) -> Self:
        """Connect, or raise `errors.Unavailable`."""
        with translated():
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=pool_size,
                timeout=ACQUIRE_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                connection_class=_PooledConnection,
                init=_set_up,
                server_settings=_SESSION,
            )
        return cls(pool)

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for single statements, each its own transaction.

        It shows the namespaces that the running work sees as it is taken (`domain/sight.py`).
        """
        return self._showing(sight.current())

    def everywhere(self, work: sight.Work) -> AbstractAsyncContextManager[Connection]:  # noqa: ARG002 - for its readers, and a test
        """A connection that shows all namespaces, for a work that cannot do with less."""
        return self._showing(sight.EVERYTHING)

    @asynccontextmanager
    async def _showing(self, shown: sight.Sight) -> AsyncIterator[Connection]:
        async with translated():
            connection = await self._acquire()
            forget = _own(connection).forget  # which the handle of a lost connection has no more
            try:
                await _own(connection).show(shown)
                yield connection
            except BaseException:
                forget()
                raise
            finally:
                await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that commits at the end, or rolls back on any error."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that is undone at the end."""
        with contextlib.suppress(_Undone):
            async with self.transaction() as connection:
                yield connection
                raise _Undone

    async def check(self) -> None:
        """Raise `errors.Unavailable` unless the database answers."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1")

    async def _acquire(self) -> Connection:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):  # the pool's own starts a task each time
                connection = await self._pool.acquire()
        except BaseException:
            self.waiting.refused += 1
            raise
        else:
            self.waiting.acquired += 1
            return connection
        finally:
            self.waiting.seconds += time.perf_counter() - started

    async def close(self) -> None:
        """Close all connections; running statements get a moment to finish."""
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def _own(connection: Connection) -> _PooledConnection:
    """The connection behind the pool's handle, which passes on what it does not know."""
    if not hasattr(connection, "show"):
        raise asyncpg.InterfaceError("the connection was lost while it was in use")
    return cast("_PooledConnection", connection)


async def connect(url: str) -> SingleConnection:
    """One connection outside any pool, or `errors.Unavailable`."""
    async with translated():
        return await asyncpg.connect(url, timeout=ACQUIRE_TIMEOUT_S)


async def show_admitted(connection: Connection) -> None:
    """Show what was admitted since the connection was taken, too."""
    await _own(connection).show(sight.current())


@asynccontextmanager
async def widened(connection: Connection, work: sight.Work) -> AsyncIterator[None]:  # noqa: ARG001 - as above
    """Show all namespaces inside the block, on a connection that is taken already."""
    try:
        await _own(connection).show(sight.EVERYTHING)
        yield
    except errors.ModelkeepError:  # after others the transaction is over anyhow
        await _own(connection).show(sight.current())
        raise
    await _own(connection).show(sight.current())


async def _set_up(connection: SingleConnection) -> None:
    await _set_codecs(connection)
    await _become_server(connection)


async def _become_server(connection: SingleConnection) -> None:
    """Act as the server's role from here on; raise unless rows are hidden from it."""
    try:
        await connection.execute(_BECOME_SERVER)
    except asyncpg.InsufficientPrivilegeError as error:
        raise errors.FailedPrecondition(
            f"the database user may not act as the server's role ({error}): run `modelkeep "
            "migrate` as the owner of the tables, or have the role granted to the user"
        ) from error
    if not await connection.fetchval(_IS_WALLED):
        raise errors.FailedPrecondition(
            "the role that the server acts as is a superuser, bypasses row security or owns the "
            "tables: it must do none of these; see docs/operations.md"
        )


async def _set_codecs(connection: SingleConnection) -> None:
    """`jsonb` columns carry plain values; `json` columns carry their text, kept as it is."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_to_json, decoder=pydantic_core.from_json
    )
    await connection.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=str)


def _to_json(value: object) -> str:
    return pydantic_core.to_json(value).decode()


class translated:  # noqa: N801 - reads as a statement: `with translated():`
    """Turns errors of the driver into `errors.*`; usable with `with` and `async with`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (asyncpg.PostgresError, *_AWAY)):
            raise _in_our_words(error) from error

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)


def _excess(detail: str) -> quotas.Excess:
    """What `refuse_beyond_quota` of migration 0006 tells."""
    told = pydantic_core.from_json(detail)
    quota = quotas.Quota(told["quota"])
    return quotas.Excess(told["namespace"], quota, told["limit"], told["used"], told["asked"])


def _in_our_words(error: BaseException) -> BaseException:
    constraint = getattr(error, "constraint_name", None) or ""
    if constraint in _TAKEN:
        return errors.AlreadyExists(_TAKEN[constraint])
    if constraint in _REFUSED:
        sentence, reason = _REFUSED[constraint]
        return errors.FailedPrecondition(sentence, reason=reason)
    if constraint == "namespace_quota":
        return quotas.exceeded(_excess(getattr(error, "detail", None) or "{}"))
    if constraint in _RACED:
        return errors.Aborted(f"{_RACED[constraint]}; read it again and decide again")
    if isinstance(error, _AWAY):
        return errors.Unavailable("the database does not answer now; try again")
    return error
