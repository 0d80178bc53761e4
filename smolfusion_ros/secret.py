"""What nobody else may read, a token or a key: out of a file or an environment variable, and kept out of what is told.

Never out of a ROS parameter's value or a command line: every process of the machine, or of the ROS domain, reads those.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from smolfusion_ros.errors import ConfigurationError

MAX_BYTES = 8192
HIDDEN = "<secret>"


@dataclass(frozen=True)
class Secret:
    """A word that is not to be told; false where there is none.

    Attributes:
        value: the word, or empty. Kept out of ``repr``.
        origin: which file or variable holds it, or may hold it, for people.
    """

    value: str = field(default="", repr=False)
    origin: str = ""

    def __bool__(self) -> bool:
        return bool(self.value)

    def hidden_in(self, text: str) -> str:
        """The text without the word."""
        return text.replace(self.value, HIDDEN) if self.value else text


def read_secret(setting: str, file: str, variable: str) -> Secret:
    """The one word in a file, else in an environment variable, else none.

    Args:
        setting: what names the file, for errors.
        file: its path, ``~`` allowed; empty: the variable's turn.

    Raises:
        ConfigurationError: the file cannot be read, or others may read it; it holds no word, several, or a very long
            one; the word is not printable ASCII. The message never tells the word.
    """
    if not file:
        given = os.environ.get(variable, "")
        return Secret(_word(given, variable), variable) if given.strip() else Secret("", f"{setting} or {variable}")
    path = Path(file).expanduser()
    origin = f"{setting} {path}"
    try:
        with path.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & 0o077:
                raise ConfigurationError(f"{origin} can be read by others: chmod 600 {path}")
            content = opened.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise ConfigurationError(f"{origin} holds more than {MAX_BYTES} bytes")
            text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{origin} cannot be read: it is no text") from None
    except OSError as error:
        raise ConfigurationError(f"{origin} cannot be read: {error.strerror}") from error
    return Secret(_word(text, origin), origin)


def _word(text: str, origin: str) -> str:
    words = text.split()
    if len(words) != 1:
        raise ConfigurationError(f"{origin} holds {len(words)} words, expected one alone")
    if not (words[0].isascii() and words[0].isprintable()):
        raise ConfigurationError(f"{origin} holds characters that are not printable ASCII")
    return words[0]
