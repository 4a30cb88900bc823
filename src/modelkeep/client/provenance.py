"""Calls about where versions come from, and what is in them."""

from modelkeep.client import refs, signatures
from modelkeep.v1 import provenance_service_pb2 as pb


class ProvenanceCalls(signatures.ProvenanceConnection):
    """Documents about versions in formats that other tools read."""

    async def provenance_statement(self, version: str) -> str:
        """What the registry knows of how a version came to be: in-toto with SLSA, in JSON."""
        request = pb.GetProvenanceStatementRequest(name=refs.parse_version(version).version_name)
        return (await self._call(self._provenance.GetProvenanceStatement, request)).statement

    async def bill_of_materials(self, version: str) -> str:
        """What is in a version: a CycloneDX bill of materials, in JSON."""
        request = pb.GetBillOfMaterialsRequest(name=refs.parse_version(version).version_name)
        return (await self._call(self._provenance.GetBillOfMaterials, request)).document
