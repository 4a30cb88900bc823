"""The rule of the audit chain: what is tampered with is found and named, what is not never is."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from support import chains

from modelkeep.audit_chain import lines, links, walk
from modelkeep.client import audit_file, audit_records, audit_signatures

EVENTS = 40
SEALED = (10, 25)
MADE = chains.chain(EVENTS)
EXPORT = chains.export(MADE, SEALED)
START = links.Head(0, links.FIRST_HASH)
END = links.Head(EVENTS, MADE[-1].hash)


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_the_document_is_rfc_8785(actor: str, request_id: str) -> None:
    texts = dict.fromkeys(("namespace", "occurred_at", "client", "action", "resource"), actor)
    made = links.Written(
        sequence=7, actor=actor, request_id=request_id, before=None, after='{"a":1}',
        prev_hash=b"\1" * 32, **texts,
    )  # fmt: skip
    wanted = {**texts, "actor": actor, "request_id": request_id, "before": None, "after": {"a": 1}}
    wanted |= {"seq": 7, "prev_hash": "01" * 32}
    assert made.document() == rfc8785.dumps(wanted)


def walked(made: list[links.Link], end: links.Head = END) -> walk.Fault | None:
    walking = walk.Walk(START)
    for link in made:
        if not walking.take(link):
            break
    return walking.expect_end(end)


def named(made: list[links.Link], end: links.Head = END) -> tuple[str, int]:
    fault = walked(made, end)
    assert fault is not None
    return fault.kind.value, fault.sequence


def forged(sequence: int, previous: bytes) -> links.Link:
    return chains.written(sequence, previous, actor="mallory")


def renumbered(link: links.Link, sequence: int) -> links.Link:
    """The event with another number, as an UPDATE of the table would leave it."""
    text = link.document.replace(b'"seq":%d}' % link.sequence, b'"seq":%d}' % sequence)
    return dataclasses.replace(link, sequence=sequence, document=text)


def test_a_whole_chain_fits() -> None:
    assert walked(MADE) is None


def test_what_was_done_is_named() -> None:
    edited = dataclasses.replace(MADE[9], document=MADE[9].document.replace(b"ann", b"eve"))
    assert named([*MADE[:9], edited, *MADE[10:]]) == ("changed", 10)
    rehashed = forged(10, MADE[8].hash)
    assert named([*MADE[:9], rehashed, *MADE[10:]]) == ("changed", 10)
    assert named([*MADE[:9], *MADE[10:]]) == ("removed", 10)
    assert named([*MADE[:9], *MADE[12:]]) == ("removed", 10)
    assert named(MADE[1:]) == ("removed", 1)
    assert named(MADE[:-3]) == ("truncated", EVENTS - 2)
    assert named([]) == ("truncated", 1)
    assert named([*MADE[:9], MADE[10], MADE[9], *MADE[11:]]) == ("reordered", 10)
    assert named([*MADE[:9], forged(10, MADE[8].hash), *MADE[9:]]) == ("inserted", 10)
    assert named([*MADE[:9], forged(10, b"\2" * 32), *MADE[9:]]) == ("inserted", 10)
    assert named([*MADE[:9], MADE[3], *MADE[9:]]) == ("inserted", 4)
    assert named([*MADE, forged(EVENTS + 1, END.hash)]) == ("inserted", EVENTS + 1)
    assert named([*MADE[:-1], forged(EVENTS, MADE[-2].hash)]) == ("changed", EVENTS)


def test_numbers_put_right_behind_the_deed_do_not_hide_it() -> None:
    down = [renumbered(link, link.sequence - 1) for link in MADE[10:]]
    end = links.Head(EVENTS - 1, END.hash)
    assert named([*MADE[:9], *down], end) == ("removed", 10)
    up = [renumbered(link, link.sequence + 1) for link in MADE[9:]]
    end = links.Head(EVENTS + 1, END.hash)
    assert named([*MADE[:9], forged(10, MADE[8].hash), *up], end) == ("inserted", 10)
    swapped = [renumbered(MADE[10], 10), renumbered(MADE[9], 11)]
    assert named([*MADE[:9], *swapped, *MADE[11:]]) == ("reordered", 10)
    assert named([*MADE[:9], renumbered(MADE[9], 99)]) == ("changed", 10)


def test_a_chain_written_anew_shows_at_the_next_checkpoint() -> None:
    anew = [*MADE[:9], *chains.chain(EVENTS - 9, links.Head(9, MADE[8].hash), "mallory")]
    assert walked(anew, links.Head(EVENTS, anew[-1].hash)) is None  # by itself it fits
    walking = walk.Walk(START)
    for link in anew:
        walking.take(link)
        if link.sequence == 25:
            walking.expect_checkpoint(links.Head(25, MADE[24].hash))
    assert walking.fault is not None
    assert (walking.fault.kind, walking.fault.sequence) == (walk.FaultKind.REWRITTEN, 25)


def test_the_walk_holds_no_more_than_it_looks_ahead() -> None:
    walking = walk.Walk(START)
    taken = 0
    for link in chains.chain(3 * walk.LOOK_AHEAD)[1:]:
        taken += 1
        if not walking.take(link):
            break
    assert taken == walk.LOOK_AHEAD
    assert walking.fault is not None
    assert walking.fault.sequence == 1


def proved(texts: list[bytes], **trust: object) -> audit_records.AuditVerdict:
    return audit_file.verify_lines(texts, **trust)  # type: ignore[arg-type]


def found(texts: list[bytes], **trust: object) -> tuple[str, int]:
    fault = proved(texts, **trust).fault
    assert fault is not None
    return fault.kind, fault.sequence


def test_an_export_is_proved_offline() -> None:
    verdict = proved([line + b"\n" for line in EXPORT], keys=[chains.public_key()])
    assert verdict.is_intact
    assert (verdict.chain, verdict.events, verdict.sequence) == ("acme", EVENTS, EVENTS)
    assert (verdict.checkpoints, verdict.checkpoint_sequence) == (2, 25)
    assert verdict.key_ids == (lines.key_id(chains.public_key()),)
    assert verdict.hash == MADE[-1].hash.hex()


def test_parts_of_a_chain_follow_each_other_in_one_file() -> None:
    parts = [*chains.export(MADE[:15], (10,)), *chains.export(MADE[15:], (25,))]
    verdict = proved(parts)
    assert verdict.is_intact
    assert (verdict.events, verdict.checkpoints) == (EVENTS, 2)
    assert proved(chains.export(MADE[15:])).events == EVENTS - 15
    later = [*chains.export(MADE[:15]), *chains.export(MADE[20:])]
    assert found(later) == ("removed", 16)
    assert found([*EXPORT, *EXPORT]) == ("removed", EVENTS + 1)


def line_of(sequence: int) -> int:
    return next(n for n, raw in enumerate(EXPORT) if b'"seq":%d},"hash"' % sequence in raw)


def test_what_was_done_to_a_file_is_named() -> None:
    at = line_of(7)
    edited = [*EXPORT]
    edited[at] = edited[at].replace(b"ann", b"eve")
    assert found(edited) == ("changed", 7)
    edited[at] = b"\x00 rubbish"
    assert found(edited) == ("changed", 7)
    assert found([*EXPORT[:at], *EXPORT[at + 1 :]]) == ("removed", 7)
    assert found([*EXPORT[:at], EXPORT[at + 1], EXPORT[at], *EXPORT[at + 2 :]]) == ("reordered", 7)
    false = lines.write(lines.Event("acme", forged(7, MADE[5].hash))).encode()
    assert found([*EXPORT[:at], false, *EXPORT[at:]]) == ("inserted", 7)
    assert found(EXPORT[:-1]) == ("truncated", EVENTS + 1)
    assert found(EXPORT[:at]) == ("truncated", 7)
    assert found([*EXPORT[:at], EXPORT[-1]]) == ("truncated", 7)
    assert found(EXPORT[1:]) == ("removed", 1)
    assert found([]) == ("truncated", 1)


def test_a_tail_cut_off_shows_by_a_checkpoint_in_the_file_or_kept_elsewhere() -> None:
    cut = chains.export(MADE[:20])
    assert proved(cut).is_intact  # nothing in it tells
    assert found(cut, kept=[chains.signed(MADE[24])]) == ("truncated", 21)
    sealed = [*cut[:-1], lines.write(chains.signed(MADE[24])).encode(), cut[-1]]
    assert found(sealed) == ("truncated", 21)


def test_a_chain_written_anew_does_not_pass_a_checkpoint() -> None:
    anew = [*MADE[:9], *chains.chain(EVENTS - 9, links.Head(9, MADE[8].hash), "mallory")]
    assert proved(chains.export(anew)).is_intact
    assert found(chains.export(anew), kept=[chains.signed(MADE[24])]) == ("rewritten", 25)
    genuine = lines.write(chains.signed(MADE[24])).encode()
    texts = chains.export(anew)
    at = next(n for n, raw in enumerate(texts) if b'"seq":25},"hash"' in raw)
    assert found([*texts[: at + 1], genuine, *texts[at + 1 :]]) == ("rewritten", 25)


def test_a_checkpoint_of_another_key_is_told_apart() -> None:
    texts = chains.export(MADE, SEALED, chains.OTHER_SEED)
    assert proved(texts).is_intact
    assert found(texts, keys=[chains.public_key()]) == ("checkpoint", 10)


def test_a_forged_signature_is_found() -> None:
    at = next(n for n, raw in enumerate(EXPORT) if b"checkpoint" in raw)
    signature = EXPORT[at].rpartition(b'"signature":"')[2]
    other = b"A" if signature[:1] != b"A" else b"B"
    texts = [*EXPORT]
    texts[at] = texts[at].replace(signature, other + signature[1:])
    assert found(texts) == ("checkpoint", 10)


def test_without_the_library_hashes_are_compared_and_signatures_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_signatures, "is_available", lambda: False)
    verdict = proved(EXPORT)
    assert verdict.is_intact
    assert not verdict.checkpoints_verifiable
    assert found(EXPORT[:1] + EXPORT[2:]) == ("removed", 1)


def _change(texts: list[bytes], draw: Callable[..., int]) -> None:
    at = draw(st.integers(0, len(texts) - 1))
    place = draw(st.integers(0, len(texts[at]) - 1))
    byte = draw(st.integers(0, 255).filter(lambda value: value != texts[at][place]))
    texts[at] = texts[at][:place] + bytes([byte]) + texts[at][place + 1 :]


def _remove(texts: list[bytes], draw: Callable[..., int]) -> None:
    at = draw(st.integers(0, len(texts) - 1))
    del texts[at : at + draw(st.integers(1, 5))]


def _swap(texts: list[bytes], draw: Callable[..., int]) -> None:
    one, other = draw(st.integers(0, len(texts) - 2)), draw(st.integers(1, len(texts) - 1))
    other = other if other > one else one + 1
    texts[one], texts[other] = texts[other], texts[one]


def _insert(texts: list[bytes], draw: Callable[..., int]) -> None:
    again = texts[draw(st.integers(0, len(texts) - 1))]
    false = lines.write(lines.Event("acme", forged(draw(st.integers(1, EVENTS)), b"\3" * 32)))
    texts.insert(draw(st.integers(0, len(texts))), draw(st.sampled_from((again, false.encode()))))


def _cut(texts: list[bytes], draw: Callable[..., int]) -> None:
    del texts[draw(st.integers(0, len(texts) - 1)) :]


@given(st.data(), st.sampled_from((_change, _remove, _swap, _insert, _cut)))
def test_whatever_is_done_to_a_file_is_found(
    data: st.DataObject, tamper: Callable[..., None]
) -> None:
    texts = [*EXPORT]
    tamper(texts, data.draw)
    assert texts != EXPORT
    assert proved(texts).fault is not None


@given(st.integers(1, 30), st.sets(st.integers(1, 30)), st.integers(0, 29))
def test_a_file_that_nobody_touched_is_intact(events: int, sealed: set[int], cut: int) -> None:
    made = chains.chain(events)
    cut %= events
    sealed = {number for number in sealed if number <= events}
    texts = chains.export(made, sorted(sealed))
    kept = [chains.signed(made[number - 1]) for number in sealed]
    assert proved(texts, keys=[chains.public_key()], kept=kept).is_intact
    if cut:
        assert proved([*chains.export(made[:cut]), *chains.export(made[cut:])]).is_intact


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (EXPORT, f"{EVENTS} events fit"),
        (EXPORT[:5] + EXPORT[6:], "does not follow"),
        (EXPORT[:-1], "cut off"),
        ([EXPORT[0].replace(b"ann", b"eve"), *EXPORT[1:]], f"{EVENTS} events fit"),
        ([*EXPORT[:3], EXPORT[3].replace(b"ann", b"eve"), *EXPORT[4:]], "event 3 was changed"),
    ],
)
def test_the_documented_way_by_hand_agrees(tmp_path: Path, texts: list[bytes], said: str) -> None:
    document = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    program = document.partition("```python\n")[2].partition("```")[0]
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"\n".join(texts) + b"\n")
    ran = subprocess.run(
        [sys.executable, "-c", program, file], capture_output=True, text=True, check=False
    )
    assert said in ran.stdout + ran.stderr
