"""Signatures both ways with the real `model_signing`, over a version and the folder pulled of it.

It is installed once into a virtual environment of its own under build/e2e/model-signing;
MODELKEEP_TEST_MODEL_SIGNING names one that is there already. Where it cannot be installed, these
tests are skipped saying so.
"""

import os
import subprocess
import venv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support import signing

from modelkeep import app, client
from modelkeep import config as configuration

BUILT = Path(__file__).parents[2] / "build" / "e2e" / "model-signing"
# pyOpenSSL is imported by it and not among what it requires.
WANTED = ("model-signing>=1.1,<2", "pyopenssl")
REF = "acme/voice@1.0.0"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def tool() -> Path:
    """The Python that has `model_signing`, installed if need be."""
    named = os.environ.get("MODELKEEP_TEST_MODEL_SIGNING")
    if named:
        return Path(named) / "bin" / "python"
    python = BUILT / "bin" / "python"
    if not (BUILT / "done").exists():
        venv.create(BUILT, with_pip=True, clear=True)
        installed = subprocess.run([python, "-m", "pip", "install", "-q", *WANTED], check=False)
        if installed.returncode:
            pytest.skip("model_signing cannot be installed here")
        (BUILT / "done").touch()
    return python


@pytest.fixture
async def registry(config: configuration.Config, tmp_path: Path) -> AsyncIterator[client.Registry]:
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights-2.bin").write_bytes(b"2")
    (folder / "weights" / "a b.bin").write_bytes(b"a")
    (folder / "ünïcode.json").write_text("{}")
    (folder / ".gitattributes").write_text("*.bin lfs\n")
    async with app.running(config) as endpoint, client.connect(endpoint) as connected:
        await connected.push(folder, REF)
        yield connected


def run(tool: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(tool), "-m", "model_signing", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
async def test_what_either_signs_the_other_verifies(
    registry: client.Registry, tool: Path, tmp_path: Path, kind: str
) -> None:
    key, private, public = signing.private_key(kind), tmp_path / "key", tmp_path / "public"
    private.write_bytes(signing.pem(key))
    public.write_text(signing.public_pem(key))
    proof = client.SignerProof(public_key=signing.public_pem(key))
    copy = (await registry.pull(REF, tmp_path / "copy")).directory
    ours, theirs = tmp_path / "ours.sig", tmp_path / "theirs.sig"

    _, bundle = await registry.sign_version(REF, signing.pem(key))
    ours.write_bytes(bundle)
    keyed = ("--public_key", public, "--signature")
    done = run(tool, "verify", "key", copy, *keyed, ours, "--no-ignore-git-paths")
    assert done.returncode == 0, done.stdout + done.stderr

    words = ("sign", "key", copy, "--private_key", private, "--signature", theirs)
    done = run(tool, *words, "--no-ignore-git-paths")
    assert done.returncode == 0, done.stdout + done.stderr
    await registry.attach_signature(REF, theirs.read_bytes())
    await registry.trust_signer("acme", "release", proof)
    verdict = await registry.signature_verdict(REF)
    assert [one.trusted for one in verdict.signatures] == [True, True]
    assert (await client.check_folder(copy, theirs, proof)).files == 4

    (copy / "weights-2.bin").write_bytes(b"3")
    assert run(tool, "verify", "key", copy, *keyed, ours, "--no-ignore-git-paths").returncode != 0
    with pytest.raises(client.DataLoss, match="other than what was signed"):
        await client.check_folder(copy, theirs, proof)


async def test_files_that_the_tool_leaves_out_are_named(
    registry: client.Registry, tool: Path, tmp_path: Path
) -> None:
    private, made = tmp_path / "key", tmp_path / "made.sig"
    private.write_bytes(signing.pem(signing.private_key()))
    copy = (await registry.pull(REF, tmp_path / "copy")).directory
    words = ("sign", "key", copy, "--private_key", private, "--signature", made)
    assert run(tool, *words).returncode == 0
    with pytest.raises(client.Refused, match=r"'\.gitattributes' is not signed"):
        await registry.attach_signature(REF, made.read_bytes())


async def test_a_certificate_that_the_tool_signs_with_is_an_identity_here(
    registry: client.Registry, tool: Path, tmp_path: Path
) -> None:
    key, authority = signing.private_key(), signing.Authority.new()
    leaf = authority.issue(key, issuer="", begins=signing.NOW, lasts=signing.YEAR)
    files = {name: tmp_path / name for name in ("key", "leaf", "chain", "made.sig")}
    files["key"].write_bytes(signing.pem(key))
    files["leaf"].write_bytes(leaf.public_bytes(Encoding.PEM))
    files["chain"].write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    copy = (await registry.pull(REF, tmp_path / "copy")).directory
    done = run(
        tool, "sign", "certificate", copy, "--private_key", files["key"],
        "--signing_certificate", files["leaf"], "--certificate_chain", files["chain"],
        "--signature", files["made.sig"], "--no-ignore-git-paths",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    proof = client.SignerProof(
        identity=signing.WHO, roots=authority.root.public_bytes(Encoding.PEM).decode()
    )
    await registry.trust_signer("acme", "ci", proof)
    signature = await registry.attach_signature(REF, files["made.sig"].read_bytes())
    assert (signature.trusted, signature.identities) == (True, (signing.WHO,))
    assert (await client.check_folder(copy, files["made.sig"], proof)).files == 4
