"""What the demo records of a release: scores that were really measured, and a key to sign with."""

import csv
from pathlib import Path

import numpy as np
import silero
import silero_network
import sounds
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def scores(model: silero.Model, directory: Path) -> str:
    """Let the release hear every sound; the name of a file with 1 for each that fooled it."""
    clips = sounds.clips(silero_network.RATE_HZ)
    network = silero_network.Network(model.directory / "silero_vad.onnx")
    heard = network.probabilities(np.stack([clip.samples for clip in clips])).max(axis=1)
    written = directory / f"{model.release.version}.csv"
    with written.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("example_id", "metric", "value"))
        for clip, probability in zip(clips, heard, strict=True):
            alarm = int(probability >= silero_network.SPEECH)
            rows.writerow((clip.name, "false_alarm", alarm))
    return written.name


def key_pair(directory: Path) -> None:
    """Write a fresh `release.key` and its `release.pub`."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (directory / "release.key").write_bytes(private)
    (directory / "release.pub").write_bytes(public)
