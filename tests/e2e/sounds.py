"""Generated sounds, none of them speech: a voice detector that hears a voice in one is wrong.

The same seed makes the same sounds. They are a small, free data set for a demonstration, and say
nothing about real rooms.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_SECONDS = 2
_EACH = 16
Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clip:
    """Two seconds of a kind of sound."""

    name: str
    kind: str
    samples: npt.NDArray[np.float32]


def clips(rate_hz: int) -> list[Clip]:
    """All sounds, as many of each kind."""
    time_s = np.arange(rate_hz * _SECONDS) / rate_hz
    made = []
    for seed in range(_EACH):
        random = np.random.default_rng(seed)
        for make in (_noise, _hum, _siren, _clicks, _melody):
            kind = make.__name__.removeprefix("_")
            made.append(Clip(f"{kind}-{seed:02}", kind, make(random, time_s).astype(np.float32)))
    return made


def _noise(random: np.random.Generator, time_s: Samples) -> Samples:
    return random.normal(0, random.uniform(0.001, 0.1), len(time_s))


def _hum(random: np.random.Generator, time_s: Samples) -> Samples:
    mains_hz = random.uniform(45, 65)
    waves = [np.sin(2 * np.pi * mains_hz * n * time_s) / n for n in range(1, 8)]
    return 0.1 * np.sum(waves, axis=0)


def _siren(random: np.random.Generator, time_s: Samples) -> Samples:
    low_hz, swings_hz = random.uniform(250, 450), random.uniform(0.4, 1.2)
    pitch_hz = low_hz * (1.5 + 0.5 * np.sin(2 * np.pi * swings_hz * time_s))
    return 0.2 * np.sin(np.cumsum(2 * np.pi * pitch_hz * time_s[1]))


def _clicks(random: np.random.Generator, time_s: Samples) -> Samples:
    beats = np.zeros(len(time_s))
    beats[random.integers(0, len(time_s), 8)] = 1
    click = np.exp(-np.arange(300) / 40) * random.normal(0, 1, 300)
    return 0.5 * np.convolve(beats, click, "same")


def _melody(random: np.random.Generator, time_s: Samples) -> Samples:
    beat_s = time_s[: len(time_s) // 8]
    pitches_hz = 220 * 2 ** (random.integers(0, 12, 8) / 12)
    notes = [np.sin(2 * np.pi * pitch * beat_s) * np.exp(-5 * beat_s) for pitch in pitches_hz]
    return 0.3 * np.concatenate(notes)
