"""`modelkeep doctor store`: tries on a store, one by one, what the registry needs of it."""

import asyncio
import dataclasses
import enum
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from modelkeep.blobs import (
    doctor_checks,
    doctor_direct,
    doctor_subject,
    s3,
    s3_connection,
    store,
)
from modelkeep.domain import errors

_BUCKET_MISSING = "STORE_BUCKET_MISSING"
# Less patient than the server: what needs many attempts is a finding, not something to hide.
_ATTEMPTS = 2
_IO_TIMEOUT_S = 10.0
_OTHER_STORE = "Use a store, or a release of it, that does; docs/stores.md names some."
_GATEWAY = "Look for a gateway or proxy in front of the store that drops headers. " + _OTHER_STORE


class Verdict(enum.StrEnum):
    """What a check found; `OPTIONAL` is something not there that nothing depends on."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, what that means, and what to do if it is not well."""

    check: str
    verdict: Verdict
    meaning: str
    advice: str = ""

    @property
    def is_acceptable(self) -> bool:
        """Whether the registry can use the store with this."""
        return self.verdict in {Verdict.OK, Verdict.OPTIONAL}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to try; `run` says what it saw, or raises."""

    name: str
    run: Callable[[doctor_subject.Subject], Awaitable[str]]
    advice: str = _OTHER_STORE
    required: bool = True


CHECKS = (
    Check("bucket", doctor_checks.access),
    Check(
        "make bucket",
        doctor_checks.make_bucket,
        "Nothing, as long as the bucket is there; only a missing one would have to be made by you.",
        required=False,
    ),
    Check("clock", doctor_checks.clock, "Set both clocks by NTP; signatures depend on them."),
    Check("put", doctor_checks.put),
    Check("refuse object", doctor_checks.refuse_object, _GATEWAY),
    Check("ranges", doctor_checks.ranges, _GATEWAY),
    Check("multipart", doctor_checks.multipart, _GATEWAY),
    Check("refuse part", doctor_checks.refuse_part, _GATEWAY),
    Check(
        "copy",
        doctor_checks.copy,
        "Without it models do not move to other namespaces. " + _OTHER_STORE,
    ),
    Check("complete twice", doctor_checks.complete_twice),
    Check("abort", doctor_checks.abort),
    Check(
        "list uploads",
        doctor_checks.list_multiparts,
        "Allow s3:ListBucketMultipartUploads to the keys, or abandoned parts are never removed. "
        + _OTHER_STORE,
    ),
    Check(
        "list objects",
        doctor_checks.list_pages,
        "Without it objects that nothing refers to are never removed. " + _OTHER_STORE,
    ),
    Check("delete", doctor_checks.delete, "Allow s3:DeleteObject to the keys, without versioning."),
    Check(
        "presigned get",
        doctor_checks.presigned_get,
        "Nothing: bytes then go through the server.",
        required=False,
    ),
    Check(
        "presigned put",
        doctor_checks.presigned_put,
        "Nothing: bytes then go through the server.",
        required=False,
    ),
    Check(
        "latency",
        doctor_checks.latency,
        "Run the server nearer to the store: small files will be slow.",
        required=False,
    ),
)
CLEAN_UP = Check("clean up", doctor_checks.clean_up, "Remove what begins with doctor/ by hand.")


async def examine(settings: s3_connection.S3Settings) -> list[Finding]:
    """Try everything on a bucket, under a prefix of its own that is empty again afterwards.

    Raises the domain's errors, as `store.BlobStore.check` does, if nothing can be tried at all.
    """
    settings = dataclasses.replace(
        settings,
        attempts=_ATTEMPTS,
        io_timeout_s=_IO_TIMEOUT_S,
        copy_part_bytes=doctor_checks.PART_BYTES,
    )
    blobs, direct = s3.S3BlobStore(settings), doctor_direct.Direct(settings)
    try:
        await require_bucket(blobs, direct, settings)
        return await findings(CHECKS, doctor_subject.Subject(blobs, direct))
    finally:
        await blobs.close()
        direct.close()


async def findings(checks: Iterable[Check], subject: doctor_subject.Subject) -> list[Finding]:
    """What each check finds, and last whether all that they wrote is removed."""
    try:
        found = [await _finding(check, subject) for check in checks]
    finally:
        last = await _finding(CLEAN_UP, subject)
    return [*found, last]


async def _finding(check: Check, subject: doctor_subject.Subject) -> Finding:
    try:
        return Finding(check.name, Verdict.OK, await check.run(subject))
    except (doctor_subject.Wrong, errors.DataLoss, errors.NotFound) as error:
        verdict, meaning = Verdict.WRONG, str(error)
    except (doctor_subject.Missing, errors.ModelkeepError) as error:
        verdict, meaning = Verdict.MISSING, str(error)
    verdict = verdict if check.required else Verdict.OPTIONAL
    return Finding(check.name, verdict, meaning, check.advice)


async def require_bucket(
    blobs: store.BlobStore, direct: doctor_direct.Direct, settings: s3_connection.S3Settings
) -> None:
    """Raise unless the bucket can be used; if it is missing, tell whether we could make it."""
    try:
        await blobs.check()
    except errors.FailedPrecondition as error:
        if error.reason != _BUCKET_MISSING:
            raise
        absent = f"The object store at {settings.endpoint} has no bucket {settings.bucket!r}"
        try:
            await asyncio.to_thread(direct.try_bucket)
        except errors.ModelkeepError:
            advice = "and these keys may not make one; create it, or set MODELKEEP_S3_BUCKET."
        else:
            advice = (
                "yet; these keys may make it, and `modelkeep serve` does at its start. Create it, "
                "or set MODELKEEP_S3_BUCKET to one that exists, and ask the doctor again."
            )
        raise errors.FailedPrecondition(f"{absent} {advice}", reason=_BUCKET_MISSING) from error
