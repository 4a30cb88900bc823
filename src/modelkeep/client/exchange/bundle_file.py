"""A bundle on disk, opened and looked through; its blobs stay where they are in it."""

import dataclasses
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelkeep.client import digesting, progress, tree, workers
from modelkeep.client.exchange import (
    bundle_evaluations,
    bundle_index,
    bundle_records,
    bundle_tar,
)


@dataclass(frozen=True, slots=True)
class BundleFile:
    """What the bundle says, and where in the file each blob is, by its digest."""

    bundle: bundle_records.Bundle
    blobs: Mapping[str, tree.LocalFile]

    async def check_bytes(self, pool: workers.Workers, listener: progress.Progress) -> None:
        """Read every blob and compare it with its digest.

        Raises:
            BadSource: naming the blobs that are not what they should be.
            FileChanged: somebody writes the bundle meanwhile.
        """
        hashed = await digesting.digest_all(list(self.blobs.values()), pool, listener)
        wrong = [
            one.local.path
            for one in hashed
            if one.local.path != bundle_records.blob_name(one.digest)
        ]
        if wrong:
            raise bundle_tar.bad(
                f"The bundle is damaged: {', '.join(wrong[:3])} has other bytes than its name says"
            )


def read(path: Path) -> BundleFile:
    """Read the index and find every blob; meant for a thread.

    Raises:
        BadSource: it is no bundle, cut off, or has other members than its index lists.
    """
    with path.open("rb", buffering=0) as opened:
        descriptor = opened.fileno()
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise bundle_tar.bad(f"{path} is not a file that can be read in any order; save it")
        index = bundle_tar.read_member(descriptor, 0, bundle_records.INDEX_NAME)
        bundle, part = bundle_index.decode(_content(descriptor, index))
        at = index.end
        if part is not None:
            raw, at = _evaluations(descriptor, at, part)
            read = bundle_evaluations.decode(raw, part, bundle)
            bundle = dataclasses.replace(bundle, evaluations=read)
        blobs: dict[str, tree.LocalFile] = {}
        for digest, size_bytes in bundle.blobs.items():
            name = bundle_records.blob_name(digest)
            member = bundle_tar.read_member(descriptor, at, name)
            _check_size(member, size_bytes)
            if member.start + size_bytes > status.st_size:
                raise bundle_tar.cut_off(f"the end of {member.name}")
            blobs[digest] = _placed(path, member, status)
            at = member.end
        bundle_tar.check_ending(descriptor, at, status.st_size)
    return BundleFile(bundle, blobs)


def _content(descriptor: int, index: bundle_tar.Member) -> bytes:
    if index.size_bytes > bundle_records.MAX_INDEX_BYTES:
        raise bundle_tar.bad(
            f"The bundle's index has {index.size_bytes} bytes, and at most"
            f" {bundle_records.MAX_INDEX_BYTES} are read"
        )
    return _read_whole(descriptor, index, "its index")


def _evaluations(
    descriptor: int, at: int, part: bundle_records.EvaluationsPart
) -> tuple[bytes, int]:
    """The bytes of the evaluations' member, of the size the index says; and where the next is."""
    member = bundle_tar.read_member(descriptor, at, bundle_records.EVALUATIONS_NAME)
    _check_size(member, part.size_bytes)
    return _read_whole(descriptor, member, member.name), member.end


def _read_whole(descriptor: int, member: bundle_tar.Member, called: str) -> bytes:
    content = os.pread(descriptor, member.size_bytes, member.start)
    if len(content) < member.size_bytes:
        raise bundle_tar.cut_off(f"the end of {called}")
    return content


def _check_size(member: bundle_tar.Member, size_bytes: int) -> None:
    if member.size_bytes != size_bytes:
        raise bundle_tar.bad(
            f"The bundle's {member.name} has {member.size_bytes} bytes instead of {size_bytes}"
        )


def _placed(path: Path, member: bundle_tar.Member, status: os.stat_result) -> tree.LocalFile:
    return tree.LocalFile(
        source=path,
        path=member.name,
        size_bytes=member.size_bytes,
        mtime_ns=status.st_mtime_ns,
        start=member.start,
        source_bytes=status.st_size,
    )
