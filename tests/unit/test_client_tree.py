"""Walking what is to be pushed, hostile trees included."""

import os
from pathlib import Path

import pytest

from modelkeep import client
from modelkeep.client import tree


def paths_of(root: Path) -> list[str]:
    return [file.path for file in tree.walk(root)]


def test_files_come_sorted_by_the_bytes_of_their_path(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a.txt", "Z", "é", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert paths_of(tmp_path) == [".hidden", "Z", "a.txt", "a/z", "b", "é"]


def test_git_and_bytecode_folders_are_left_out_at_any_depth(tmp_path: Path) -> None:
    for name in (".git/config", "a/__pycache__/x.pyc", "a/.git/HEAD", ".gitignore", "a/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert paths_of(tmp_path) == [".gitignore", "a/x"]


def test_a_single_file_is_pushed_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"12345")
    (only,) = tree.walk(tmp_path / "model.onnx")
    assert (only.path, only.size_bytes) == ("model.onnx", 5)


def test_a_single_file_may_be_a_link_because_the_user_named_it(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "v7.onnx").write_bytes(b"12345")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "model.onnx").symlink_to(tmp_path / "elsewhere" / "v7.onnx")
    assert paths_of(tmp_path / "here" / "model.onnx") == ["model.onnx"]


def test_a_link_to_a_file_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"123")
    (tmp_path / "link").symlink_to("real")
    assert [(file.path, file.size_bytes) for file in tree.walk(tmp_path)] == [
        ("link", 3),
        ("real", 3),
    ]


def refused(root: Path) -> client.BadTree:
    with pytest.raises(client.BadTree) as caught:
        tree.walk(root)
    return caught.value


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "innocent").symlink_to("../secret")
    assert "'innocent'" in str(refused(root))
    assert "outside" in str(refused(root))


def test_a_linked_folder_is_refused_even_inside(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").touch()
    (tmp_path / "link").symlink_to("real")
    assert "folder" in str(refused(tmp_path))


def test_links_in_a_circle_are_refused_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "circle" in str(refused(tmp_path))


def test_a_link_to_the_folder_above_is_refused_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "up").symlink_to("..")
    assert "'up'" in str(refused(root))


def test_a_pipe_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in str(refused(tmp_path))


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a\x1b[31m"])
def test_a_hostile_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert repr(name) in str(refused(tmp_path))


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    assert "UTF-8" in str(refused(tmp_path))


def test_names_equal_ignoring_case_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Model.onnx").touch()
    (tmp_path / "model.onnx").touch()
    assert "case" in str(refused(tmp_path))


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(6):
        deep /= "x" * 200
    deep.mkdir(parents=True)
    (deep / "file").touch()
    assert "1024 bytes" in str(refused(tmp_path))


def test_nothing_to_push_is_refused(tmp_path: Path) -> None:
    assert "no files" in str(refused(tmp_path))
    assert "does not exist" in str(refused(tmp_path / "none"))
