"""The peer of bench_unary: a grpc.aio server that does nothing, or one look-up, for each call.

`/bench/Empty.SIZE` answers SIZE bytes that are always the same, neither parsed nor built;
`/bench/Fetch.SIZE` runs one indexed `fetchrow` before. The argument is the database's URL.
Prints `host:port` when it takes calls.
"""

import asyncio
import functools
import sys

import asyncpg
import grpc

from modelkeep.transport import server

_CONNECTIONS = 16
_TABLE = "CREATE UNLOGGED TABLE IF NOT EXISTS bench_peer (id int PRIMARY KEY, answer text NOT NULL)"
_ROW = "INSERT INTO bench_peer VALUES (1, repeat('x', 500)) ON CONFLICT DO NOTHING"
_FETCH = "SELECT id, answer FROM bench_peer WHERE id = $1"


class Answers(grpc.GenericRpcHandler):
    """Finds the handler in the method's name."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._made = functools.cache(self._make)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """The handler of a method; each is made once."""
        return self._made(handler_call_details.method)

    def _make(self, method: str) -> "grpc.RpcMethodHandler[bytes, bytes]":
        answer = b"\0" * int(method.rpartition(".")[2])

        async def empty(_request: bytes, _context: object) -> bytes:
            return answer

        async def fetch(_request: bytes, _context: object) -> bytes:
            async with self._pool.acquire() as connection:
                await connection.fetchrow(_FETCH, 1)
            return answer

        chosen = fetch if method.startswith("/bench/Fetch.") else empty
        return grpc.unary_unary_rpc_method_handler(chosen)


async def serve(database_url: str) -> None:
    """Serve until killed."""
    async with asyncpg.create_pool(
        database_url, min_size=_CONNECTIONS, max_size=_CONNECTIONS
    ) as pool:
        await pool.execute(_TABLE)
        await pool.execute(_ROW)
        serving = grpc.aio.server(options=server._OPTIONS)
        serving.add_generic_rpc_handlers((Answers(pool),))
        port = serving.add_insecure_port("127.0.0.1:0")
        await serving.start()
        print(f"127.0.0.1:{port}", flush=True)
        await serving.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
