"""Models on their way to another namespace."""

import dataclasses
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """How far the copying of a model's blobs is.

    Attributes:
        blobs: those of all its versions, each once.
        total_bytes: theirs together.
        present_blobs: those that the other namespace has, verified.
        present_bytes: theirs together.
        copied_bytes: what was copied by this call; some of it may not be verified yet.
    """

    blobs: int = 0
    total_bytes: int = 0
    present_blobs: int = 0
    present_bytes: int = 0
    copied_bytes: int = 0

    @property
    def is_done(self) -> bool:
        """Whether everything is present."""
        return self.present_blobs >= self.blobs

    def copied(self, more_bytes: int) -> Self:
        """After so many more bytes were copied."""
        return dataclasses.replace(self, copied_bytes=self.copied_bytes + more_bytes)

    def arrived(self, blobs: int, total_bytes: int) -> Self:
        """After so many more blobs are there."""
        return dataclasses.replace(
            self,
            present_blobs=self.present_blobs + blobs,
            present_bytes=self.present_bytes + total_bytes,
        )
