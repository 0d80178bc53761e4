"""What PortAudio needs to be told to see a device that was plugged in after it began."""

from __future__ import annotations

from contextlib import suppress
from typing import Any


def list_anew(sounddevice: Any) -> None:
    """Have PortAudio list the devices again, which it does only when it begins; open streams of this process end."""
    with suppress(AttributeError, sounddevice.PortAudioError):
        sounddevice._terminate()
        sounddevice._initialize()
