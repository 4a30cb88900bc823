"""Verifies signatures of checkpoints, where the library for it is installed."""

from modelkeep.audit_chain import lines


def is_available() -> bool:
    """Whether signatures can be verified: `pip install "modelkeep[audit]"` makes it so."""
    try:
        import cryptography  # noqa: F401, PLC0415 - an extra, and heavy for those who push and pull
    except ModuleNotFoundError:
        return False
    return True


def holds(signed: lines.Signed) -> bool:
    """Whether the checkpoint is signed by the key that it names."""
    from cryptography import exceptions  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(signed.checkpoint.public_key)
        key.verify(signed.signature, signed.checkpoint.document())
    except (exceptions.InvalidSignature, ValueError):
        return False
    return True
