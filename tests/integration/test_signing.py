"""Signing and verifying by the command line and the SDK, on a real server and on pulled folders."""

import asyncio
import dataclasses
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click import testing
from support import services, signing

from modelkeep import app, client
from modelkeep import config as configuration
from modelkeep.cli import main

REF = "acme/voice@1.0.0"
PUBLIC = signing.public_pem(signing.private_key())


@dataclasses.dataclass(frozen=True)
class Signed:
    """A registry with a version of two files, and keys on this side."""

    endpoint: str
    registry: client.Registry
    key: Path
    public: Path
    other: Path

    async def run(self, *words: str, stdin: bytes = b"", **environ: str) -> tuple[int, str, str]:
        """Run the command; its exit code and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelkeep", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=services.clean_environ(MODELKEEP_ENDPOINT=self.endpoint, **environ),
        )
        stdout, stderr = await process.communicate(stdin)
        assert process.returncode is not None
        return process.returncode, stdout.decode(), stderr.decode()


@pytest.fixture
async def signed(config: configuration.Config, tmp_path: Path) -> AsyncIterator[Signed]:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "weights.bin").write_bytes(b"weights")
    (folder / ".gitattributes").write_text("*.bin lfs\n")
    key, other = signing.private_key(), signing.private_key()
    files = {name: tmp_path / name for name in ("key.pem", "public.pem", "other.pem")}
    files["key.pem"].write_bytes(signing.pem(key))
    files["public.pem"].write_text(signing.public_pem(key))
    files["other.pem"].write_text(signing.public_pem(other))
    async with app.running(config) as endpoint, client.connect(endpoint) as registry:
        await registry.create_namespace("acme")
        await registry.create_model("acme/voice")
        await registry.push(folder, REF)
        yield Signed(endpoint, registry, *files.values())


async def test_sign_trust_verify_and_revoke_by_the_command_line(signed: Signed) -> None:
    code, out, _ = await signed.run("show", REF)
    assert (code, "not signed" in out) == (0, True)
    code, _, err = await signed.run("verify", REF, "--key", str(signed.public))
    assert (code, "is not signed" in err) == (4, True)
    code, out, _ = await signed.run("sign", REF, "--key", str(signed.key))
    assert (code, "not trusted" in out) == (0, True)
    code, _, err = await signed.run("verify", REF, "--trusted")
    assert (code, "does not count" in err) == (1, True)
    added = ("trust", "add", "acme", "release", "--key", str(signed.public), "-o", "json")
    code, out, _ = await signed.run(*added)
    assert (code, json.loads(out)["algorithm"]) == (0, "ecdsa-p256-sha256")
    code, out, _ = await signed.run("verify", REF, "--trusted", "-o", "json")
    assert (code, json.loads(out)["outcome"]) == (0, "trusted")
    code, out, _ = await signed.run("show", REF, "-o", "json")
    (shown,) = json.loads(out)["signatures"]
    assert (shown["trusted"], shown["trusted_signer"]) == (True, "release")
    code, out, _ = await signed.run("trust", "ls", "acme")
    assert (code, "release" in out) == (0, True)
    code, out, _ = await signed.run("trust", "rm", "acme", "release", "--reason", "stolen")
    assert (code, "stolen" in out) == (0, True)
    code, _, err = await signed.run("verify", REF, "--trusted")
    assert (code, "release was revoked: stolen" in err) == (1, True)
    code, out, _ = await signed.run("verify", REF)  # as ever: the stored bytes
    assert (code, "every byte as it was pushed" in out) == (0, True)


async def test_a_version_is_verified_here_by_a_key_alone(signed: Signed) -> None:
    await signed.registry.sign_version(REF, signed.key.read_bytes())
    code, out, _ = await signed.run("verify", REF, "--key", str(signed.public))
    assert (code, "verified: signed, 3 files" in out) == (0, True)
    code, _, err = await signed.run("verify", REF, "--key", str(signed.other))
    assert (code, "is not verified: it names key" in err) == (1, True)


async def test_a_pulled_folder_is_verified_without_a_server(signed: Signed, tmp_path: Path) -> None:
    copy, bundle = tmp_path / "copy", tmp_path / "copy" / "model.sig"
    await signed.registry.pull(REF, copy)
    words = ("--key", str(signed.key), "--save", str(bundle))
    assert (await signed.run("sign", REF, *words))[0] == 0
    check = ("verify", "--dir", str(copy), "--bundle", str(bundle), "--key", str(signed.public))
    offline = dataclasses.replace(signed, endpoint="127.0.0.1:1")
    code, out, _ = await offline.run(*check)
    assert (code, "verified: signed, 3 files" in out) == (0, True)
    (copy / "extra").write_text("x")
    code, _, err = await offline.run(*check)
    assert (code, "'extra' is not signed" in err) == (1, True)
    (copy / "extra").unlink()
    (copy / "config.json").write_text("{ }")
    code, _, err = await offline.run(*check)
    assert (code, "'config.json' is other than what was signed" in err) == (1, True)


async def test_an_encrypted_key_takes_its_password_from_stdin(
    signed: Signed, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pem"
    locked.write_bytes(signing.pem(signing.private_key("p384"), b"open sesame"))
    code, _, err = await signed.run("sign", REF, "--key", str(locked))
    assert (code, "give its password" in err) == (2, True)
    words = ("sign", REF, "--key", str(locked), "--password-stdin")
    code, _, err = await signed.run(*words, stdin=b"wrong\n")
    assert (code, "password is wrong" in err) == (2, True)
    assert "wrong\n" not in err
    assert (await signed.run(*words, stdin=b"open sesame\n"))[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("sign", REF),
        ("verify",),
        ("verify", REF, "--trusted", "--key", "KEY"),
        ("verify", REF, "--identity", "a@b.c"),
        ("verify", REF, "--issuer", "https://a"),
        ("verify", "--dir", "."),
        ("verify", "--dir", ".", "--bundle", "KEY"),
        ("trust", "add", "acme", "x"),
        ("trust", "add", "acme", "x", "--key", "KEY", "--identity", "a@b.c"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    """Before anything is asked of a server."""
    key = tmp_path / "key.pem"
    key.write_text(PUBLIC)
    typed = [str(key) if word == "KEY" else word for word in words]
    result = testing.CliRunner().invoke(main.modelkeep, typed)
    assert (result.exit_code, "Usage:" in result.output) == (2, True)


async def test_documents_are_printed_and_written(signed: Signed, tmp_path: Path) -> None:
    code, out, _ = await signed.run("provenance", REF)
    assert (code, json.loads(out)["predicateType"]) == (0, "https://slsa.dev/provenance/v1")
    file = tmp_path / "bom.json"
    code, _, _ = await signed.run("sbom", REF, "-o", str(file))
    assert (code, json.loads(file.read_text())["bomFormat"]) == (0, "CycloneDX")
    assert (await signed.run("sbom", REF))[1] == file.read_text()
    code, _, err = await signed.run("sbom", "acme/voice@9.0.0")
    assert (code, "does not exist" in err) == (3, True)


async def test_the_client_starts_without_what_signs() -> None:
    script = "import sys, modelkeep.client; sys.exit('cryptography' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 0


async def test_without_the_library_it_is_said_how_to_have_it(signed: Signed) -> None:
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from modelkeep.__main__ import main\n"
        f"sys.argv = ['modelkeep', 'sign', '{REF}', '--key', '{signed.key}']\nmain()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        stderr=asyncio.subprocess.PIPE,
        env=services.clean_environ(MODELKEEP_ENDPOINT=signed.endpoint),
    )
    _, stderr = await process.communicate()
    assert (process.returncode, b'"modelkeep[signing]"' in stderr) == (4, True)
