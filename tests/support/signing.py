"""Keys, certificates and transparency logs of this test run's own."""

import base64
import datetime
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from modelkeep.attestation import bundles, keys, statements

NOW = datetime.datetime(2026, 11, 1, 12, 0, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
YEAR = datetime.timedelta(days=365)
ISSUER = "https://login.example.com"
WHO = "release@example.com"
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def private_key(kind: str = "p256") -> Private:
    """A new key of a kind."""
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    return ec.generate_private_key(curves.get(kind, ec.SECP256K1()))


def pem(key: Any, password: bytes | None = None) -> bytes:
    """A private key in PEM."""
    lock = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    )


def public_pem(key: Any) -> str:
    """The public half of a private key in PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(serialization.Encoding.PEM, form).decode())


def loaded(key: Private) -> keys.PrivateKey:
    """A key as we have it."""
    return keys.load_private(pem(key), None)


def rewritten(bundle: bytes, change: Any) -> bytes:
    """A bundle in which something was changed."""
    read = json.loads(bundle)
    change(read)
    return json.dumps(read).encode()


@dataclass
class Authority:
    """A root, and an intermediate that issues short-lived certificates for identities."""

    root_key: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, *, authority: bool = True, path_length: int | None = None) -> "Authority":
        root_key, key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
        root = _certificate(
            "root", root_key, "root", root_key, is_authority=True, path_length=path_length
        )
        middle = _certificate("middle", key, "root", root_key, is_authority=authority)
        return cls(root_key, root, key, middle)

    @property
    def anchors(self) -> str:
        """Root and intermediate in PEM."""
        both = (self.root, self.certificate)
        return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in both)

    def issue(
        self,
        key: Any,
        who: str = WHO,
        issuer: str = ISSUER,
        begins: datetime.datetime = NOW,
        *,
        lasts: datetime.timedelta = 10 * MINUTE,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
    ) -> x509.Certificate:
        """A certificate for an identity that somebody vouched for."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + lasts)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(who)]), critical=True)
        )
        if issuer:
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
            value = bytes((0x0C, len(issuer))) + issuer.encode()
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        return builder.sign(self.key, hashes.SHA384())


def _certificate(
    name: str,
    key: Any,
    issuer: str,
    issuer_key: Any,
    *,
    is_authority: bool,
    path_length: int | None = None,
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    named, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in (name, issuer))
    return (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - YEAR)
        .not_valid_after(NOW + 10 * YEAR)
        .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer_key, hashes.SHA384())
    )


def certified(digests: dict[str, str], key: Any, *chain: x509.Certificate) -> bytes:
    """A signature of a key that a certificate is for."""
    payload = statements.write("model", digests)
    made = bundles.write(payload, loaded(key).sign(bundles.message(payload)), "")
    der = [base64.b64encode(one.public_bytes(serialization.Encoding.DER)).decode() for one in chain]
    certificates = [{"rawBytes": one} for one in der]

    def change(read: dict[str, Any]) -> None:
        read["verificationMaterial"] = {"x509CertificateChain": {"certificates": certificates}}

    return rewritten(made, change)


def logged(bundle: bytes, log: Any, at: datetime.datetime, **wrong: str) -> bytes:
    """The bundle with the promise of a log that it was there at that instant."""
    read = json.loads(bundle)
    envelope = read["dsseEnvelope"]
    der = read["verificationMaterial"]["x509CertificateChain"]["certificates"][0]["rawBytes"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(der))
    verifier = certificate.public_bytes(serialization.Encoding.PEM)
    payload = hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()
    signature = envelope["signatures"][0]["sig"]
    entry = {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "payloadHash": {"algorithm": "sha256", "value": wrong.get("payload", payload)},
            "signatures": [
                {
                    "signature": wrong.get("signature", signature),
                    "verifier": base64.b64encode(verifier).decode(),
                }
            ],
        },
    }
    body = base64.b64encode(json.dumps(entry).encode()).decode()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der_key = log.public_key().public_bytes(serialization.Encoding.DER, form)
    log_id, seconds = hashlib.sha256(der_key).digest(), int(at.timestamp())
    promised = {"body": body, "integratedTime": seconds, "logID": log_id.hex(), "logIndex": 7}
    text = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
    promise = log.sign(text, ec.ECDSA(hashes.SHA256()))
    read["verificationMaterial"]["tlogEntries"] = [
        {
            "logIndex": "7",
            "logId": {"keyId": base64.b64encode(log_id).decode()},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(int(wrong.get("time", seconds))),
            "inclusionPromise": {"signedEntryTimestamp": base64.b64encode(promise).decode()},
            "canonicalizedBody": body,
        }
    ]
    return json.dumps(read).encode()
