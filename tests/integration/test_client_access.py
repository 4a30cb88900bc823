"""Push and pull with no more rights than they take."""

from pathlib import Path

import pytest
from support import closed

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.v1 import access_service_pb2 as pb
from modelkeep.v1 import registry_service_pb2 as registry_pb


@pytest.mark.parametrize("via", [client.Via.SERVER])
async def test_a_contributor_pushes_and_a_reader_of_the_model_pulls(
    config: configuration.Config, tmp_path: Path, via: client.Via
) -> None:
    source = tmp_path / "model"
    source.mkdir()
    (source / "large.bin").write_bytes(bytes(range(256)) * 4096)
    (source / "small.json").write_text("{}")
    async with closed.running(config) as world:
        made = registry_pb.CreateNamespaceRequest(namespace_id="acme")
        await world.admin.registry.CreateNamespace(made)
        await world.grant("service:ci", pb.ROLE_CONTRIBUTOR, "namespaces/acme")
        ci = client.Credentials(token=(await world.token("service:ci")).text)
        async with client.connect(world.endpoint, credentials=ci) as registry:
            pushed = await registry.push(source, "acme/voice@1.0.0", via=via)
            with pytest.raises(client.Refused, match=r"may not stage\.set"):
                await registry.set_stage("acme/voice@1.0.0", "staging", reason="no")
            with pytest.raises(client.Refused, match=r"may not namespace\.create"):
                await registry.push(source, "other/voice@1.0.0", via=via)
        await world.grant("user:alice", pb.ROLE_READER, "namespaces/acme/models/voice")
        alice = client.Credentials(token=(await world.token("user:alice")).text)
        async with client.connect(world.endpoint, credentials=alice) as registry:
            pulled = await registry.pull("acme/voice@1.0.0", tmp_path / "copy", via=via)
            assert pulled.version.version == "1.0.0"
            assert [one.ref async for one in registry.list_namespaces()] == ["acme"]
            with pytest.raises(client.NotFound):
                await registry.pull("other/voice", tmp_path / "nothing", via=via)
        async with client.connect(
            world.endpoint, credentials=client.Credentials(token="mk_" + "0" * 16 + "_" + "A" * 43)
        ) as registry:
            with pytest.raises(client.Unauthenticated):
                await registry.resolve("acme/voice")
    assert pushed.version.version == "1.0.0"
    for name in ("large.bin", "small.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (source / name).read_bytes()
