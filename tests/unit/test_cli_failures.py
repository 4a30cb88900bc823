"""How the command line words refusals."""

from modelkeep import client
from modelkeep.cli import failures, settings

CHOSEN = settings.Settings(endpoint="127.0.0.1:7420", verbose=False)


def worded(message: str, *sentences: str) -> str:
    error = client.Refused(
        message,
        reason="GATES_FAILED",
        violations=tuple(client.Violation("approvals", sentence) for sentence in sentences),
    )
    failure = failures.from_error(error, CHOSEN)
    assert failure.exit_code == failures.REFUSED
    return failure.message


def test_each_gate_that_is_not_met_has_a_line() -> None:
    head = (
        "namespaces/acme/models/voice/versions/1.2.0 does not meet 2 of 3 gates before production:"
    )
    said = worded(
        f"{head} nothing in card; 0 approved; 1 is wanted",
        "nothing in card",
        "0 approved; 1 is wanted",
    )
    assert said == (
        "acme/voice@1.2.0 does not meet 2 of 3 gates before production:\n"
        "  - nothing in card.\n"
        "  - 0 approved; 1 is wanted."
    )


def test_a_message_of_another_form_stays_one_sentence() -> None:
    assert worded("it is frozen", "nobody is there") == "it is frozen."
    assert worded("it is frozen") == "it is frozen."
