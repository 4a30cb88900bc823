"""The one place where S3, HTTP and socket errors become ours."""

import contextlib
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus

import minio.error
import urllib3.exceptions

from modelkeep.blobs import s3_connection
from modelkeep.domain import errors

_OBJECT_MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "NotFound"})
_WRONG_CHECKSUM = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"})
ACCESS_REFUSED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_OTHER_REGION = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "Redirect"})
_FULL = frozenset({"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded"})
_CLOCK_WRONG = frozenset({"RequestTimeTooSkewed"})
# AWS reports it also inside an answer of status 200.
_BROKEN = frozenset({"InternalError"})
_OVERLOADED = frozenset({"OperationAborted", "RequestTimeout", "SlowDown"})
_TRANSPORT_ERRORS = (
    urllib3.exceptions.HTTPError,
    minio.error.ServerError,
    minio.error.InvalidResponseError,
    OSError,
)


@contextlib.contextmanager
def translated(settings: s3_connection.S3Settings) -> Iterator[None]:
    """Raise the domain's errors for whatever the store or the way to it raises inside."""
    try:
        yield
    except minio.error.S3Error as error:
        raise _from_answer(error, settings) from error
    except _TRANSPORT_ERRORS as error:
        raise _from_transport(error, settings) from error


def _from_answer(
    error: minio.error.S3Error, settings: s3_connection.S3Settings
) -> errors.ModelkeepError:
    code, status = error.code or "", error.response.status
    for codes, make in _MEANINGS:
        if code in codes:
            return make(settings, code)
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        return _full(settings, code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unavailable(settings, f"{code}: {error.message}")
    return errors.FailedPrecondition(
        f"The object store at {settings.endpoint} refuses the request ({code}: {error.message}); "
        "check that it is a complete S3 store.",
        reason="STORE_REFUSED",
    )


def _unavailable(settings: s3_connection.S3Settings, cause: object) -> errors.Unavailable:
    return errors.Unavailable(
        f"The object store at {settings.endpoint} is unavailable ({cause}); try again shortly.",
        reason="STORE_UNAVAILABLE",
    )


def _missing(settings: s3_connection.S3Settings, code: str) -> errors.NotFound:
    return errors.NotFound(
        f"The object store at {settings.endpoint} has no such object or upload ({code})."
    )


def _corrupt(settings: s3_connection.S3Settings, code: str) -> errors.DataLoss:
    return errors.DataLoss(
        f"The bytes that reached the object store at {settings.endpoint} are not the ones that "
        f"were checksummed ({code}); send them again."
    )


def _no_bucket(settings: s3_connection.S3Settings, code: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        f"The object store at {settings.endpoint} has no bucket {settings.bucket!r} ({code}); "
        "create it, or set MODELKEEP_S3_BUCKET to one that exists.",
        reason="STORE_BUCKET_MISSING",
    )


def cannot_make_bucket(
    settings: s3_connection.S3Settings, error: minio.error.S3Error
) -> errors.FailedPrecondition:
    """The error of a bucket that is missing and that the store does not let us make."""
    return errors.FailedPrecondition(
        f"The object store at {settings.endpoint} has no bucket {settings.bucket!r} and does not "
        f"let us make it ({error.code}); create it, set MODELKEEP_S3_BUCKET to one that exists, "
        "or allow our access key to make buckets.",
        reason="STORE_BUCKET_MISSING",
    )


def _refused(settings: s3_connection.S3Settings, code: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        f"The object store at {settings.endpoint} refuses our access to bucket "
        f"{settings.bucket!r} ({code}); check MODELKEEP_S3_ACCESS_KEY, MODELKEEP_S3_SECRET_KEY and "
        "MODELKEEP_S3_REGION, and what they allow.",
        reason="STOREACCESS_REFUSED",
    )


def _skewed(settings: s3_connection.S3Settings, code: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        f"The clocks of this machine and of the object store at {settings.endpoint} differ too "
        f"much ({code}); set both by NTP.",
        reason="STORE_CLOCK_SKEWED",
    )


def _overloaded(settings: s3_connection.S3Settings, code: str) -> errors.Unavailable:
    return _unavailable(settings, code)


def _full(settings: s3_connection.S3Settings, code: str) -> errors.Unavailable:
    return errors.Unavailable(
        f"The object store at {settings.endpoint} is full ({code}); make room in it, then push "
        "again: what is stored already is not sent again.",
        reason="STORE_FULL",
    )


def _broken(settings: s3_connection.S3Settings, code: str) -> errors.Unavailable:
    """Of a store that does not say why; SeaweedFS answers so when its disk is full."""
    return errors.Unavailable(
        f"The object store at {settings.endpoint} is unavailable ({code}); try again shortly. If "
        "this lasts, see its log, and whether its disk is full.",
        reason="STORE_UNAVAILABLE",
    )


_MEANINGS: tuple[
    tuple[frozenset[str], Callable[[s3_connection.S3Settings, str], errors.ModelkeepError]], ...
] = (
    (_OBJECT_MISSING, _missing),
    (frozenset({"NoSuchBucket"}), _no_bucket),
    (_WRONG_CHECKSUM, _corrupt),
    (ACCESS_REFUSED | _OTHER_REGION, _refused),
    (_CLOCK_WRONG, _skewed),
    (_FULL, _full),
    (_BROKEN, _broken),
    (_OVERLOADED, _overloaded),
)


def _from_transport(error: Exception, settings: s3_connection.S3Settings) -> errors.ModelkeepError:
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return errors.FailedPrecondition(
            f"The certificate of the object store at {settings.endpoint} is not trusted "
            f"({cause.verify_message}); add its authority to the system's store, or name a file "
            "with it in SSL_CERT_FILE.",
            reason="STORE_NOT_TRUSTED",
        )
    said = cause.strerror if isinstance(cause, OSError) else None
    return _unavailable(settings, said or str(cause) or type(cause).__name__)


def _innermost(error: BaseException) -> BaseException:
    """What went wrong first: urllib3 wraps it in its retries and in the object's URL."""
    for inner in (getattr(error, "reason", None), *error.args, error.__cause__):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error
