"""Making a signature."""

from collections.abc import Mapping

from modelkeep.attestation import bundles, faults, keys, statements


def sign(name: str, digests: Mapping[str, str], key: keys.PrivateKey) -> bytes:
    """The bundle of a signature over these files, as JSON.

    Args:
        name: what the model is called in the statement.
        digests: SHA-256 in hex of each file, by its path; at least one.
        key: signs it.

    Raises:
        Fault: so many files with so long paths do not fit into a bundle.
    """
    payload = statements.write(name, digests)
    signature = key.sign(bundles.message(payload))
    bundle = bundles.write(payload, signature, key.public.key_id)
    if len(bundle) > bundles.MAX_BYTES:
        raise faults.Fault(
            f"the list of files makes a bundle of {len(bundle):,} bytes; "
            f"{bundles.MAX_BYTES:,} are allowed"
        )
    return bundle
