import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.domain import errors, limits, manifests, paths, specs

DIGEST = "sha256:" + "ab" * 32


def file(path: str, size_bytes: int = 1) -> manifests.File:
    return manifests.File(path, DIGEST, size_bytes)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a/./b", "a//b", "a/", "./a", "a\\b", "a\x00b",
     "a\nb", "a\x7fb", "a\x9bb", "x" * 1025, "é" * 513, "C:\\x",
     "model_\u202ecod.exe", "\u2066a", "a\u200fb", "a\u061cb"],
)  # fmt: skip
def test_paths_that_could_escape_or_deceive_are_refused(path: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        paths.check(path)


@pytest.mark.parametrize("path", ["a", "a/b.bin", ".hidden", "a b", "é", "...", "..a", "x" * 1024])
def test_ordinary_paths_are_accepted(path: str) -> None:
    paths.check(path)
    assert manifests.Manifest.of([file(path)]).files[0].path == path


@pytest.mark.parametrize(
    ("first", "second"),
    [("a", "a"), ("README", "readme"), ("stra\u00dfe", "STRASSE"), ("\u00e9", "e\u0301"),
     ("a", "a/b"), ("Dir", "dir/file"), ("a/b/c", "a/B")],
)  # fmt: skip
def test_two_paths_for_one_place_are_refused_naming_them(first: str, second: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        manifests.Manifest.of([file(first), file("between"), file(second)])
    assert ascii(first) in refused.value.message


def test_too_many_files_are_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="10,000"):
        manifests.Manifest.of([file(f"f{n}") for n in range(limits.FILES_PER_VERSION + 1)])


def test_the_digest_is_what_a_shell_computes() -> None:
    manifest = manifests.Manifest.of([file("b.bin", 20), file("a dir/x", 3)])
    hex_digest = "ab" * 32
    script = (
        "printf 'modelkeep-manifest-v1\\n%s  3  a dir/x\\n%s  20  b.bin\\n' "
        f"{hex_digest} {hex_digest} | sha256sum | cut -d' ' -f1"
    )
    computed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert manifest.digest == f"sha256:{computed.stdout.strip()}"
    assert manifest.total_bytes == 23


@given(st.permutations(["a", "B", "a.b", "é", "z/1", "z/2"]))
def test_the_digest_does_not_depend_on_the_order_given(order: list[str]) -> None:
    expected = manifests.Manifest.of([file(p) for p in sorted(order)])
    assert manifests.Manifest.of([file(p) for p in order]) == expected


def test_the_digest_depends_on_every_part_of_a_file() -> None:
    base = manifests.Manifest.of([file("a", 1)])
    others = [file("b", 1), file("a", 2), manifests.File("a", "sha256:" + "00" * 32, 1)]
    digests = {manifests.Manifest.of([other]).digest for other in others} | {base.digest}
    assert len(digests) == 4
    assert base.digest != f"sha256:{hashlib.sha256().hexdigest()}"


def test_content_is_required_and_the_prompt_file_reserved() -> None:
    prompt = specs.PromptSpec("p", "m", (specs.PromptMessage("user", "hi"),))
    empty = manifests.Manifest.of([])
    manifests.require_content(empty, prompt)
    with pytest.raises(errors.InvalidArgument, match="empty"):
        manifests.require_content(empty, specs.ModelSpec())
    with pytest.raises(errors.InvalidArgument, match="reserved"):
        manifests.require_content(manifests.Manifest.of([file("Prompt.JSON")]), prompt)
