"""Why a signature, a key or a certificate is not acceptable."""


class Fault(ValueError):
    """Not acceptable; the message is a clause that says why, without a full stop."""
