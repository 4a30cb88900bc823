"""Verifying a folder by a signature, without a registry."""

import asyncio
from pathlib import Path

from modelkeep.client import digesting, errors, progress, signature_records, tree, workers

NOT_INSTALLED = 'Signing and verifying needs a library: pip install "modelkeep[signing]".'


async def check_folder(
    directory: Path,
    bundle: Path,
    proof: signature_records.SignerProof,
    listener: progress.Progress | None = None,
) -> signature_records.CheckedSignature:
    """Hash all files of a folder and verify that somebody signed exactly these.

    The bundle may lie in the folder. No registry is asked.

    Raises:
        DataLoss: it is not theirs, or over other files.
        BadTree: the folder cannot be read.
        Refused: what verifies is not installed.
    """
    try:
        from modelkeep.client import attesting  # noqa: PLC0415 - needs an extra, and is heavy
    except ModuleNotFoundError as absent:
        raise errors.Refused(NOT_INSTALLED, reason="SIGNING_NOT_INSTALLED") from absent
    text = await asyncio.to_thread(bundle.read_bytes)
    own = await asyncio.to_thread(bundle.resolve)
    found = [file for file in tree.walk(directory) if file.source.resolve() != own]
    with workers.Workers() as pool:
        hashed = await digesting.digest_all(found, pool, listener or progress.Progress())
    digests = {one.local.path: one.digest.removeprefix("sha256:") for one in hashed}
    return attesting.check(text, digests, str(directory), proof)
