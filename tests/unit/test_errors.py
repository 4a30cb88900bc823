import base64
import urllib.parse

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, names
from modelkeep.transport import errors as wire


def all_subclasses(kind: type) -> set[type]:
    direct = set(kind.__subclasses__())
    return direct.union(*(all_subclasses(sub) for sub in direct))


def test_every_domain_error_has_a_status() -> None:
    known = all_subclasses(errors.ModelkeepError) - {wire.InternalError}
    assert known == wire.STATUS_BY_ERROR.keys()


def details(error: errors.ModelkeepError) -> list[object]:
    status = status_pb2.Status.FromString(wire.details_of(error))
    found = []
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])
        message = kind()
        packed.Unpack(message)
        found.append(message)
    return found


def test_every_error_says_its_reason_and_domain() -> None:
    peculiar: dict[type[errors.ModelkeepError], errors.ModelkeepError] = {
        errors.InvalidArgument: errors.invalid("is wrong", "a.b"),
        errors.Hidden: errors.Hidden("a sentence", errors.PermissionDenied("may not")),
        errors.GatesFailed: errors.GatesFailed("a sentence", []),
    }
    for kind in wire.STATUS_BY_ERROR:
        error = peculiar.get(kind) or kind("a sentence", offset=7)
        info = details(error)[0]
        assert isinstance(info, error_details_pb2.ErrorInfo)
        assert (info.domain, bool(info.reason)) == ("modelkeep", True)


def test_details_say_what_a_program_needs() -> None:
    _, bad = details(errors.invalid("is wrong", "a.b"))
    assert bad.field_violations[0].field == "a.b"  # type: ignore[attr-defined]
    _, precondition = details(errors.FailedPrecondition("no", reason="VERSION_IN_USE"))
    assert precondition.violations[0].type == "VERSION_IN_USE"  # type: ignore[attr-defined]
    _, retry = details(errors.Unavailable("later"))
    assert retry.retry_delay.seconds == 1  # type: ignore[attr-defined]


def test_who_is_throttled_is_told_for_how_long() -> None:
    info, retry = details(errors.Throttled("slowly", retry_after_s=0.25, limit="x", allowed=7))
    assert info.metadata == {"limit": "x", "allowed": "7"}  # type: ignore[attr-defined]
    assert retry.retry_delay.ToMilliseconds() == 250  # type: ignore[attr-defined]


@pytest.mark.parametrize("letter", ["x", "%", "\n", "\U0010ffff"])
def test_an_answer_fits_into_trailers_whatever_was_wrong(letter: str) -> None:
    """Clients take 8 KiB of metadata; of more they would see nothing but a broken stream."""
    wrong = [errors.Violation(f"labels[{letter * 100}]", letter * 300) for _ in range(10_000)]
    for error in (
        errors.InvalidArgument(wrong),
        errors.NotFound(letter * 100_000, resource=letter * 100_000),
        errors.FailedPrecondition(letter * 100_000),
        errors.QuotaExceeded(letter * 100_000, quota="stored_bytes"),
    ):
        sentence = urllib.parse.quote(wire.message_of(error), safe=" ")
        assert len(sentence) + len(base64.b64encode(wire.details_of(error))) < 8000
    bad = details(errors.InvalidArgument(wrong))[1]
    assert 1 <= len(bad.field_violations) < 100  # type: ignore[attr-defined]
    assert "9,980 more" in errors.InvalidArgument(wrong).message


def test_an_internal_error_tells_nothing_but_the_request_id() -> None:
    error = wire.InternalError("abc123")
    assert wire.code_of(error) is grpc.StatusCode.INTERNAL
    assert "abc123" in error.message


def test_a_caller_without_a_role_may_do_nothing() -> None:
    nobody = callers.Caller("nobody", "somewhere", "r")
    for action in policy.Action:
        with pytest.raises(errors.PermissionDenied, match=action):
            policy.require(nobody, action)
        with pytest.raises((errors.Hidden, errors.PermissionDenied)) as raised:
            policy.require(nobody, action, names.NamespaceName("acme"))
        assert isinstance(raised.value, errors.Hidden) == (action not in policy.OF_THE_REGISTRY)


def test_what_is_hidden_reads_as_what_is_not_there() -> None:
    name = names.ModelName("acme", "voice")
    with pytest.raises(errors.Hidden) as raised:
        policy.require(callers.Caller("n", "c", "r"), policy.Action.READ_MODEL, name)
    missing = errors.NotFound(f"{name} does not exist", resource=name)
    assert wire.details_of(raised.value) == wire.details_of(missing)
    assert raised.value.denied.metadata["action"] == "model.read"
