"""The container's health check: well while the server is, over the admin port."""

import asyncio
import dataclasses
import runpy
from pathlib import Path

from modelkeep import app
from modelkeep import config as configuration

_SCRIPT = Path(__file__).parents[2] / "deploy" / "healthcheck.py"


async def test_the_health_check_follows_readiness(config: configuration.Config) -> None:
    check = runpy.run_path(str(_SCRIPT))["main"]
    told: list[str] = []
    watched = dataclasses.replace(config, admin_listen=configuration.Address("127.0.0.1:0"))
    async with app.running(watched, told.append):
        assert await asyncio.to_thread(check, told[0]) is None
    assert "does not answer" in await asyncio.to_thread(check, told[0])
