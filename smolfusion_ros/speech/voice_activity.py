"""How probable is it that somebody speaks: Silero's detector, asked of every 32 ms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from smolfusion_ros.errors import SpeechError
from smolfusion_ros.speech.sound import SAMPLE_RATE, Samples, level_dbfs

WINDOW = 512
"""Samples of a window, as the network was trained: 32 ms."""

_CONTEXT = 64  # samples of the window before, which the network sees again
_QUIET_WINDOWS = 16  # after half a second of silence the network starts anew


class VoiceActivity:
    """Silero VAD, version 5 or 6, through ONNX Runtime on one thread; used by one thread.

    Windows quieter than ``silence_dbfs`` are silence without asking the network.

    Args:
        path: the ONNX file.
        silence_dbfs: a microphone's own noise is at -70 to -55 dBFS, a whisper across a room above that.

    Raises:
        SpeechError: the file is missing or cannot be used.
    """

    def __init__(self, path: str | Path, silence_dbfs: float = -75.0) -> None:
        fetch = "run: ros2 run smolfusion_ros fetch_models silero-vad"
        if not Path(path).is_file():
            raise SpeechError(f"there is no voice activity model at {path}: {fetch}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise SpeechError(f"the voice activity model {path} cannot be used ({error}): {fetch}") from error
        names = {each.name for each in self._session.get_inputs()}
        if names != {"input", "state", "sr"}:
            raise SpeechError(f"{path} takes {sorted(names)} and is no Silero VAD of version 5 or 6: {fetch}")
        self._silence_dbfs = silence_dbfs
        self._rate = np.array(SAMPLE_RATE, np.int64)
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros((1, _CONTEXT + WINDOW), np.float32)
        self._quiet = 0

    def probability(self, window: Samples) -> float:
        """Of speech in the next ``WINDOW`` samples, 0 to 1.

        Raises:
            SpeechError: the window has another length, or the network fails.
        """
        if window.shape != (WINDOW,):
            raise SpeechError(f"a window of {window.shape} samples: {WINDOW} are needed")
        if level_dbfs(window) < self._silence_dbfs:
            self._quiet += 1
            if self._quiet == _QUIET_WINDOWS:
                self.reset()
                self._quiet = _QUIET_WINDOWS
            return 0.0
        self._quiet = 0
        self._input[0, :_CONTEXT] = self._input[0, -_CONTEXT:]
        self._input[0, _CONTEXT:] = window
        try:
            output, self._state = self._session.run(
                None, {"input": self._input, "state": self._state, "sr": self._rate}
            )
        except Exception as error:
            raise SpeechError(f"the voice activity model fails: {error}") from error
        return float(output[0, 0])
