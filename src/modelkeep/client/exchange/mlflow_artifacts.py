"""A version's files behind MLflow's artifact proxy: listed, then fetched into temporary files.

Names come from the server, so none is used as a path here: temporary files are numbered.
"""

import posixpath
from dataclasses import dataclass
from pathlib import Path

from modelkeep.client import errors, paths, records, tree
from modelkeep.client.exchange import mlflow_http

_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a version: its path there, behind the proxy, and its size if that is told."""

    path: str
    proxied: str
    size_bytes: int | None


def listing(server: mlflow_http.Server, root: str, limits: records.Capabilities) -> list[Artifact]:
    """All files under a path behind the proxy; meant for a thread.

    Raises:
        BadSource: there are none, or more than a version may have.
        BadTree: a path cannot be that of a version's file.
    """
    found: list[Artifact] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        answer = server.get("mlflow-artifacts/artifacts", path=posixpath.join(root, folder))
        for entry in answer.entries("files", optional=True):
            path = posixpath.join(folder, posixpath.basename(entry.text("path").rstrip("/")))
            if entry.fields.get("is_dir"):
                _check_depth(path)
                folders.append(path)
                continue
            size = entry.whole("file_size") if "file_size" in entry.fields else None
            found.append(Artifact(path, posixpath.join(root, path), size))
        if len(found) + len(folders) > limits.max_files_per_version:
            raise errors.BadSource(
                f"it has more than {limits.max_files_per_version} files", reason="MLFLOW_ARTIFACTS"
            )
    if not found:
        raise errors.BadSource("MLflow has no files of it", reason="MLFLOW_ARTIFACTS")
    paths.check_all(one.path for one in found)
    return sorted(found, key=lambda one: one.path.encode())


def _check_depth(path: str) -> None:
    paths.check(path)
    if path.count("/") >= _DEPTH:
        raise errors.BadSource("its folders are nested too deeply", reason="MLFLOW_ARTIFACTS")


def fetch(
    server: mlflow_http.Server, artifact: Artifact, target: Path, most_bytes: int
) -> tree.LocalFile:
    """Fetch one file into a temporary one; meant for a thread.

    Raises:
        BadSource: it has another size than listed, or more than may be.
    """
    bound = most_bytes if artifact.size_bytes is None else min(artifact.size_bytes, most_bytes)
    with target.open("xb") as opened:
        size_bytes = server.download(artifact.proxied, opened, bound)
    if artifact.size_bytes not in {None, size_bytes}:
        raise errors.BadSource(
            f"MLflow's {artifact.path} has {size_bytes} bytes instead of {artifact.size_bytes}.",
            reason="MLFLOW_CUT",
        )
    status = target.stat()
    return tree.LocalFile(
        source=target,
        path=artifact.path,
        size_bytes=size_bytes,
        mtime_ns=status.st_mtime_ns,
    )
