"""Reading references, and the parts of the SDK that need no server."""

import inspect

import pytest

from modelkeep import client
from modelkeep.client import endpoints, manifest, media_types, records, refs, sync


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("acme", ("acme", "", "")),
        ("acme/voice", ("acme", "voice", "")),
        ("acme/voice@1.2.0", ("acme", "voice", "1.2.0")),
        ("acme/voice@1.2.0-rc.1+build", ("acme", "voice", "1.2.0-rc.1+build")),
        ("acme/voice@>=2,<3", ("acme", "voice", ">=2,<3")),
        ("acme/voice@#17", ("acme", "voice", "#17")),
        (f"acme/voice@sha256:{'a' * 64}", ("acme", "voice", f"sha256:{'a' * 64}")),
        ("namespaces/acme/models/voice/versions/1.2.0", ("acme", "voice", "1.2.0")),
        ("namespaces/acme", ("acme", "", "")),
    ],
)
def test_a_reference_is_read(text: str, parts: tuple[str, str, str]) -> None:
    ref = refs.parse(text)
    assert (ref.namespace, ref.model, ref.selector) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "/",
        "acme/",
        "/voice",
        "acme@1.0.0",
        "acme/voice@",
        "Acme/voice",
        "acme/vo ice",
        "a/b/c",
        "acme/-x",
        "acme/x-",
        "acme/" + "x" * 129,
        "acme/voice\x00",
        "../x",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(client.BadReference):
        refs.parse(text)


@pytest.mark.parametrize("selector", ["production", "^1.2", "1.2", "latest", "v1.2.0", "01.2.3"])
def test_only_a_full_version_is_exact(selector: str) -> None:
    with pytest.raises(client.BadReference, match="full version"):
        refs.parse_version(f"acme/voice@{selector}")


def test_a_reference_and_a_name_are_two_ways_to_say_one_thing() -> None:
    ref = refs.parse("acme/voice@1.2.0")
    assert ref.version_name == "namespaces/acme/models/voice/versions/1.2.0"
    assert refs.from_name(ref.version_name) == str(ref) == "acme/voice@1.2.0"
    assert refs.from_name(ref.model_name) == "acme/voice"


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("127.0.0.1:7420", "127.0.0.1:7420"),
        ("registry.local", "registry.local:7420"),
        ("[::1]:99", "[::1]:99"),
    ],
)
def test_an_endpoint_is_host_and_port(endpoint: str, target: str) -> None:
    assert endpoints.parse(endpoint) == endpoints.Endpoint(target)


@pytest.mark.parametrize("endpoint", ["", "http://host:1", "host:port", "a b", "host:1:2"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(client.InvalidRequest, match="HOST:PORT"):
        endpoints.parse(endpoint)


def test_the_manifest_sorts_by_bytes_of_the_path() -> None:
    def listed(path: str) -> records.File:
        return records.File(path=path, digest=f"sha256:{'0' * 64}", size_bytes=1)

    forwards = [listed("a"), listed("B"), listed("é")]
    assert manifest.digest(forwards) == manifest.digest(reversed(forwards))
    assert manifest.digest(forwards) != manifest.digest(forwards[:2])


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("a/b.SAFETENSORS", "application/vnd.safetensors"),
        ("x.json", "application/json"),
        ("README.md", "text/markdown"),
        ("Makefile", "application/octet-stream"),
        ("x.unheard-of", "application/octet-stream"),
    ],
)
def test_media_types(path: str, media_type: str) -> None:
    assert media_types.of_path(path) == media_type


def test_the_sync_face_has_every_public_call() -> None:
    ours = {
        name
        for name, member in inspect.getmembers(client.Registry, callable)
        if not name.startswith("_")
    }
    assert ours <= set(dir(sync.SyncRegistry))
    assert inspect.signature(client.SyncRegistry.push) == inspect.signature(client.Registry.push)
