"""The network of silero-vad for 16 kHz, run in NumPy with the weights in a release's ONNX file.

Written after `tinygrad_model.py` in the wheel of 6.2.3; the releases before have the same layers.
"""

from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnx_file

Floats = npt.NDArray[np.float32]
RATE_HZ = 16_000
SPEECH = 0.5
"""From this probability on, a window counts as speech; the default of silero-vad itself."""
_WINDOW, _CONTEXT, _PAD = 512, 64, 64  # samples
_FFT, _HOP, _BINS = 256, 128, 129
_STRIDES = (1, 2, 2, 1)
_BASIS = "stft.forward_basis_buffer"
_BASIS_SHAPE = (2 * _BINS, 1, _FFT)  # the branch for 8 kHz has another


class Network:
    """One release, ready to listen.

    Args:
        path: its `silero_vad.onnx`.
    """

    def __init__(self, path: Path) -> None:
        tensors = dict(onnx_file.tensors(path))
        prefix = next(
            name.removesuffix(_BASIS)
            for name, value in tensors.items()
            if name.endswith(_BASIS) and value.shape == _BASIS_SHAPE
        )
        self._weights = {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }

    def probabilities(self, clips: Floats) -> Floats:
        """How likely each window of each clip is speech; one row a clip, one column a window."""
        count = clips.shape[1] // _WINDOW
        features = self._features(_windows(clips, count)).reshape(len(clips), count, -1)
        hidden = cell = np.zeros((len(clips), features.shape[2]), np.float32)
        heard = []
        for step in range(count):
            hidden, cell = self._step(features[:, step], hidden, cell)
            heard.append(self._decoded(hidden))
        return np.stack(heard, axis=1)

    def _features(self, windows: Floats) -> Floats:
        padded = np.pad(windows, ((0, 0), (0, _PAD)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT, axis=1)[:, ::_HOP]
        waves = frames @ self._weights[_BASIS][:, 0].T
        spectrum = np.hypot(waves[:, :, :_BINS], waves[:, :, _BINS:]).transpose(0, 2, 1)
        for layer, stride in enumerate(_STRIDES):
            name = f"encoder.{layer}.reparam_conv"
            weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
            spectrum = _convolved(spectrum, weight, bias, stride)
        return spectrum

    def _step(self, features: Floats, hidden: Floats, cell: Floats) -> tuple[Floats, Floats]:
        weights = self._weights
        gates = features @ weights["decoder.rnn.weight_ih"].T + weights["decoder.rnn.bias_ih"]
        gates += hidden @ weights["decoder.rnn.weight_hh"].T + weights["decoder.rnn.bias_hh"]
        taken, kept, fresh, shown = np.split(gates, 4, axis=1)
        cell = _sigmoid(kept) * cell + _sigmoid(taken) * np.tanh(fresh)
        return _sigmoid(shown) * np.tanh(cell), cell

    def _decoded(self, hidden: Floats) -> Floats:
        weight, bias = (self._weights[f"decoder.decoder.2.{part}"] for part in ("weight", "bias"))
        return _sigmoid(np.maximum(hidden, 0) @ weight[0, :, 0] + bias)


def _windows(clips: Floats, count: int) -> Floats:
    """Each window with the last samples of the one before it."""
    padded = np.pad(clips, ((0, 0), (_CONTEXT, 0)))
    cut = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + _WINDOW, axis=1)
    return cut[:, ::_WINDOW][:, :count].reshape(-1, _CONTEXT + _WINDOW)


def _convolved(values: Floats, weight: Floats, bias: Floats, stride: int) -> Floats:
    padded = np.pad(values, ((0, 0), (0, 0), (1, 1)))
    near = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2], axis=2)[:, :, ::stride]
    summed = np.einsum("nctk,ock->not", near, weight, optimize=True)
    return cast("Floats", np.maximum(summed + bias[None, :, None], 0))


def _sigmoid(values: Floats) -> Floats:
    return cast("Floats", (np.tanh(values / 2) + 1) / 2)
