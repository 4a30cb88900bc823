"""Every RPC of the contract gets random messages and spoilt bytes, and answers as it should.

A short campaign is part of `make test`; `make fuzz` sends 100,000 messages and prints the counts.
"""

import asyncio
import base64
import os
import random
from pathlib import Path

import grpc
import psutil
import pytest
from fuzz import campaign, judging, worlds
from support import server_process, wire

from modelkeep import config as configuration

MESSAGES = int(os.environ.get("MODELKEEP_TEST_FUZZ_MESSAGES", "3000"))
SEED = int(os.environ.get("MODELKEEP_TEST_FUZZ_SEED", "7"))
MOST_GROWTH_BYTES = 256 * 2**20
BROKEN = ("rpc.unexpected_error", "background.broken", "Traceback", "never awaited")
METHODS = [method for service in wire.SERVICES for method in service.methods]


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_whatever_is_sent_the_answer_is_one_of_ours(
    config: configuration.Config, tmp_path: Path
) -> None:
    log, tally = tmp_path / "server.log", judging.Tally()
    key = base64.b64encode(random.Random(1).randbytes(32)).decode()
    async with server_process.logged(config, log, MODELKEEP_SECRET_KEY=key) as (server, endpoint):
        seen = psutil.Process(server.pid)
        await _attack(endpoint, tally, MESSAGES // 10, SEED + 1)  # also warms the server up
        before_bytes = seen.memory_info().rss
        await _attack(endpoint, tally, MESSAGES - tally.total, SEED)
        grown_bytes = seen.memory_info().rss - before_bytes
        assert server.returncode is None
    print(f"\n{tally.table()}\n{tally.total:,} messages, seed {SEED}; ", end="")  # noqa: T201
    print(f"the server grew by {grown_bytes / 2**20:.0f} MiB")  # noqa: T201
    assert not tally.findings, "\n\n".join(tally.findings)
    assert grown_bytes < MOST_GROWTH_BYTES
    written = log.read_text(errors="replace")
    for line in written.splitlines():
        assert not any(word in line for word in BROKEN), line
    assert set(tally.counts) == {method.name for method in METHODS}
    assert tally.total >= MESSAGES


async def _attack(endpoint: str, tally: judging.Tally, count: int, seed: int) -> None:
    world: worlds.World | None = None
    begun = tally.total
    recorder = worlds.Recorder()
    async with grpc.aio.insecure_channel(endpoint, interceptors=[recorder]) as channel:
        stubs = wire.Stubs.over(channel)
        with grpc.insecure_channel(endpoint) as line:
            for number, method in enumerate(METHODS):
                world = await worlds.intact(stubs, world)
                attack = campaign.Attack(line, method, tally)
                share = (begun + count - tally.total) // (len(METHODS) - number)
                valid = recorder.requests[method.name]
                try:
                    await asyncio.to_thread(attack.run, world, valid, max(share, 2), seed)
                except AssertionError as found:  # the smallest message that shows it
                    tally.findings.append(str(found))
