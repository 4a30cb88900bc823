"""Calls about signatures: make and attach them, read them, and tell what they are worth."""

import functools
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from modelkeep.client import (
    calls,
    connection,
    errors,
    folder_signatures,
    pull,
    records,
    refs,
    signature_convert,
    signature_records,
)
from modelkeep.v1 import provenance_service_pb2 as pb
from modelkeep.v1 import provenance_service_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from modelkeep.client.registry import Registry
    from modelkeep.v1.provenance_service_pb2_grpc import ProvenanceServiceAsyncStub


class ProvenanceConnection(connection.Connection):
    """A connection that speaks to ProvenanceService too."""

    @functools.cached_property
    def _provenance(self) -> "ProvenanceServiceAsyncStub":
        return pb_grpc.ProvenanceServiceStub(self._channel)


class SignatureCalls(ProvenanceConnection):
    """Sign versions with keys that stay here, and verify signatures."""

    @property
    def _all(self) -> "Registry":
        # Signing lists files; the class that has every call is made of this one too.
        return cast("Registry", self)

    async def sign_version(
        self, version: str, key: bytes, *, password: bytes | None = None
    ) -> tuple[signature_records.Signature, bytes]:
        """Sign a sealed version and attach the signature; answers it and its bundle.

        The list of files is checked by the version's manifest digest, and what is signed is that
        list: pull the version first if you do not believe the registry's bytes.

        Args:
            version: `acme/voice@1.2.0`.
            key: private key in PEM: EC P-256, P-384, P-521 or Ed25519. It is not sent anywhere.
            password: of the key, if it is encrypted.

        Raises:
            InvalidRequest: the key cannot be read.
            Refused: the version is not sealed, or what signs is not installed.
        """
        try:
            from modelkeep.client import attesting  # noqa: PLC0415 - needs an extra, and is heavy
        except ModuleNotFoundError as absent:
            raise _not_installed() from absent
        files = await self._files(version)
        bundle = attesting.sign(version, attesting.digests_of(files), key, password)
        return await self.attach_signature(version, bundle), bundle

    async def attach_signature(self, version: str, bundle: bytes) -> signature_records.Signature:
        """Attach a signature that somebody made, with `model_signing` for example.

        Args:
            version: `acme/voice@1.2.0`.
            bundle: a Sigstore bundle in JSON.

        Raises:
            InvalidRequest: the bundle is malformed, or not signed by whom it names.
            Refused: it is over other files, the version is not sealed, or it has that very
                signature.
        """
        request = pb.AttachSignatureRequest(
            parent=refs.parse_version(version).version_name,
            bundle=bundle,
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._provenance.AttachSignature, request)
        return signature_convert.signature_from_wire(response.signature)

    async def get_signature_bundle(self, name: str) -> bytes:
        """The bundle of a signature, by its resource name, byte for byte."""
        request = pb.GetSignatureRequest(name=name)
        return (await self._call(self._provenance.GetSignature, request)).bundle

    def list_signatures(self, version: str) -> AsyncIterator[signature_records.Signature]:
        """A version's signatures, the first attached first, each as the server judges it now."""
        parent = refs.parse_version(version).version_name

        async def fetch(token: str) -> tuple[list[signature_records.Signature], str]:
            request = pb.ListSignaturesRequest(
                parent=parent, page_size=connection.MAX_PAGE_SIZE, page_token=token
            )
            page = await self._call(self._provenance.ListSignatures, request)
            found = map(signature_convert.signature_from_wire, page.signatures)
            return list(found), page.next_page_token

        return connection.pages(fetch)

    async def signature_verdict(self, version: str) -> signature_records.SignatureVerdict:
        """Whether somebody whom the namespace trusts now has signed a version."""
        request = pb.GetSignatureVerdictRequest(name=refs.parse_version(version).version_name)
        response = await self._call(self._provenance.GetSignatureVerdict, request)
        return signature_convert.verdict_from_wire(response)

    async def check_signatures(
        self, version: str, proof: signature_records.SignerProof
    ) -> signature_records.CheckedSignature:
        """Verify here that somebody signed a version; the server's opinion is not asked.

        Raises:
            DataLoss: none of its signatures is theirs, or none is over its files.
            Refused: it has no signature, or what verifies is not installed.
        """
        try:
            from modelkeep.client import attesting  # noqa: PLC0415 - as above
        except ModuleNotFoundError as absent:
            raise _not_installed() from absent
        digests = attesting.digests_of(await self._files(version))
        failed: errors.DataLoss | None = None
        async for signature in self.list_signatures(version):
            bundle = await self.get_signature_bundle(signature.name)
            try:
                return attesting.check(bundle, digests, version, proof)
            except errors.DataLoss as failure:
                failed = failed or failure
        raise failed or errors.Refused(
            f"{version} is not signed; sign it with `modelkeep sign {version} --key FILE`.",
            reason="NOT_SIGNED",
        )

    async def _files(self, version: str) -> list[records.File]:
        """The files of a sealed version, as its manifest digest says."""
        found = await self._all.get_version(version)
        if found.state not in (records.VersionState.READY, records.VersionState.QUARANTINED):
            raise errors.Refused(
                f"{version} is {found.state}; only a sealed version can be signed.",
                reason="VERSION_NOT_SEALED",
            )
        files = [file async for file in self._all.list_files(version)]
        pull.check_manifest(found, files)
        return files


def _not_installed() -> errors.Refused:
    return errors.Refused(folder_signatures.NOT_INSTALLED, reason="SIGNING_NOT_INSTALLED")
