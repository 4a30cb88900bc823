"""`modelkeep serve --workers N`: N servers behind one address, and one admin port for all."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping

import structlog

from modelkeep import allocator
from modelkeep import config as configuration
from modelkeep.admin import http, joined
from modelkeep.domain import errors
from modelkeep.workers import addresses, crew

_log = structlog.get_logger()
EndedEarly = crew.EndedEarly


async def supervise(
    config: configuration.Config,
    environ: Mapping[str, str],
    on_ready: Callable[[str], None],
    on_admin: Callable[[str], None],
) -> None:
    """Run the workers until SIGTERM or SIGINT, then have them drain.

    Args:
        config: what to serve with.
        environ: what it was read from; the workers get it, with the addresses they share.
        on_ready: told the `host:port` when all workers take calls.
        on_admin: told the `host:port` of the admin port, if there is to be one.

    Raises:
        config.CannotServe: an address cannot be had.
        EndedEarly: a worker could not be started; it has said why.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            endpoint = stack.enter_context(addresses.held(config.listen))
            shared = {"MODELKEEP_LISTEN": endpoint}
            if config.mtls_listen:
                second = stack.enter_context(addresses.held(config.mtls_listen))
                shared["MODELKEEP_MTLS_LISTEN"] = second
            workers = crew.Crew(
                config.workers,
                _environ(environ, config, shared),
                config.drain_timeout_s,
            )
            if config.admin_listen:
                pages = joined.pages(workers)
                listening = http.answering(config.admin_listen, pages)
                on_admin(await stack.enter_async_context(listening))
        except errors.Unavailable as error:
            raise configuration.CannotServe(error.message) from error
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, workers.stop)
        await workers.run(lambda: on_ready(endpoint))
    _log.info("workers.stopped")


def _environ(
    environ: Mapping[str, str], config: configuration.Config, shared: Mapping[str, str]
) -> dict[str, str]:
    """What a worker is started with."""
    own = {"MODELKEEP_WORKERS": "1"}
    if config.admin_listen:
        own["MODELKEEP_ADMIN_LISTEN"] = "127.0.0.1:0"
    # The allocator's settings at once: it need not start again to obtain them.
    return {**allocator.SETTINGS, **environ, **shared, **own}
