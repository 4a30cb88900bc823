"""The demo's model: three releases of a voice activity detector, and facts read from their files.

Nothing here is invented: parameters are read from the release's own files, metrics are counted, and
a commit is stated only where the files of that commit in the project's repository are the same,
byte for byte.
"""

import hashlib
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import onnx_file

REPOSITORY = "https://github.com/snakers4/silero-vad"
_MODEL_FILE = re.compile(r"silero_vad/data/[\w.-]+\.(onnx|jit)")
_RATES = re.compile(r"self\.sample_rates = \[([\d, ]+)\]")


@dataclass(frozen=True, slots=True)
class Release:
    """One release as a wheel: `commit` is '' where no public commit has the same files."""

    version: str
    sha256: str
    commit: str = ""

    @property
    def wheel(self) -> str:
        return f"silero_vad-{self.version}-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class Model:
    """The model files of a release in a directory of their own, and what is known about them."""

    release: Release
    directory: Path
    params: dict[str, str]
    metrics: dict[str, int]

    @property
    def files(self) -> list[Path]:
        return sorted(self.directory.iterdir())


RELEASES = (
    Release(
        "5.1.2",
        "93b41953d7774b165407fda6b533c119c5803864e367d5034dc626c82cfdf661",
        "6478567951ae5c9979ad7b234185b5515f4be7a1",
    ),
    Release(
        "6.0.0",
        "37d29be8944d2a2e6f1cc38a066076f13e78e6fc1b567a1beddcca72096f077f",
        "fba061dc5559f696e62171e9a0741782b0fdc23c",
    ),
    Release("6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"),
)


def fetch(release: Release, cache: Path) -> Path:
    """The release's wheel, downloaded unless the cache holds it; its SHA-256 is as pinned."""
    wheel = cache / release.wheel
    if not (wheel.exists() and _sha256(wheel) == release.sha256):
        wheel.unlink(missing_ok=True)
        _download(release, cache)
    if _sha256(wheel) != release.sha256:
        raise SystemExit(f"{wheel} does not have the pinned SHA-256; remove it and try again.")
    return wheel


def _download(release: Release, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    wanted = cache / f"{release.version}.txt"
    wanted.write_text(f"silero-vad=={release.version} --hash=sha256:{release.sha256}\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary=:all:", "--require-hashes"),
            *("--dest", str(cache), "--requirement", str(wanted)),
        ],
        check=True,
    )


def unpack(release: Release, wheel: Path, directory: Path) -> Model:
    """Put the release's model files, and nothing else of the wheel, into the directory."""
    directory.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in filter(_MODEL_FILE.fullmatch, archive.namelist()):
            (directory / Path(name).name).write_bytes(archive.read(name))
        source = archive.read("silero_vad/utils_vad.py").decode()
    return Model(release, directory, _params(directory, source), _metrics(directory))


def _params(directory: Path, source: str) -> dict[str, str]:
    # The wheel states the rates of its single-rate variants as well; the main file takes them all.
    rates = max(_RATES.findall(source), key=len)
    return {
        "onnx_opset": str(onnx_file.opset(directory / "silero_vad.onnx")),
        "sample_rates_hz": rates.replace(" ", ""),
    }


def _metrics(directory: Path) -> dict[str, int]:
    files = list(directory.iterdir())
    return {
        "onnx_bytes": (directory / "silero_vad.onnx").stat().st_size,
        "onnx_variants": sum(file.suffix == ".onnx" for file in files),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
