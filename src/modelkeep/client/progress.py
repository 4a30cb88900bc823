"""What a push or a pull tells about itself while it runs. The SDK draws nothing."""

import enum


class Step(enum.StrEnum):
    """What is being done to the files."""

    HASH = "hashing"
    SEND = "sending"
    FETCH = "fetching"
    VERIFY = "verifying"
    COPY = "copying"


class Progress:
    """Override what you want to hear; every method is called on the event loop's thread.

    Bytes are absolute positions, because after a cut a file may go on from an earlier byte.
    """

    def step_began(self, step: Step, files: int, total_bytes: int) -> None:
        """A step over so many files and bytes begins."""

    def file_began(self, path: str, size_bytes: int, done_bytes: int) -> None:
        """Work on a file begins; `done_bytes` of it were done by an earlier run."""

    def file_moved(self, path: str, done_bytes: int) -> None:
        """So much of the file is done."""

    def file_ended(self, path: str) -> None:
        """The file is complete."""

    def step_ended(self, step: Step) -> None:
        """The step is complete."""

    def noted(self, text: str) -> None:
        """Something a person may want to know, for example a lost connection; one sentence."""
