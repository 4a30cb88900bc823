"""A version as the answer of a look-up, written once for as long as the same version is at hand.

What many ask for is read from equal rows again and again, for which the storage hands out the same
value (`storage.versions.whole_from_row`). To build and write the message takes longer than to look
the version up; here that is done once for each value, and forgotten with it.
"""

import weakref

from modelkeep.domain import versions
from modelkeep.transport import convert_registry
from modelkeep.v1 import registry_service_pb2 as pb


class Answers:
    """Serialized answers of GetVersion and ResolveVersion, which are the same on the wire."""

    def __init__(self) -> None:
        # By identity: to compare two versions takes as long as to write one. An entry goes as its
        # version does, so no other value is ever met under its id.
        self._written: dict[int, tuple[weakref.ref[versions.Version], bytes]] = {}

    def of(self, version: versions.Version) -> bytes:
        """The answer with this version."""
        key = id(version)
        written = self._written.get(key)
        if written is None:
            message = pb.GetVersionResponse(version=convert_registry.version_to_wire(version))
            going = weakref.ref(version, lambda _: self._written.pop(key, None))
            written = self._written[key] = (going, message.SerializeToString())
        return written[1]

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._written)
