"""From what was typed to one exact version."""

from collections.abc import AsyncIterator

from modelkeep import client


async def exact(registry: client.Registry, text: str) -> str:
    """The exact version of a reference, which must have a selector: `acme/voice@1.2.0`.

    A full version is taken as it is, in whatever state it may be; anything else is resolved.
    """
    ref = client.parse_ref(text)
    if ref.is_exact:
        return str(ref)
    if not ref.selector:
        raise client.BadReference(
            f"{text!r} names no version; write one, for example {text}@1.2.0 or {text}@latest.",
            reason="BAD_REFERENCE",
        )
    return (await registry.resolve(str(ref))).ref


async def version(registry: client.Registry, text: str) -> client.Version:
    """The version of a reference with everything it says about itself."""
    return await registry.get_version(await exact(registry, text))


async def namespaces(registry: client.Registry, named: str | None) -> AsyncIterator[str]:
    """The namespace that was named, or all there are."""
    if named:
        yield named
        return
    async for namespace in registry.list_namespaces():
        yield namespace.ref
