"""What of a text is spoken, and how much of it has been heard."""

from __future__ import annotations

import re
import unicodedata

_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")
_ADDRESS = re.compile(r"(?:https?|ftp)://(?:www\.)?([^\s/?#\"'<>()]+)[^\s\"'<>()]*", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z!?][^<>]*>")
# "[[" begins phoneme codes for espeak-ng and Piper; the others are Markdown's and would be spelt out.
_MARKUP = re.compile(r"\[\[|\]\]|[*`~|]+|(?<!\w)[_#]+|[_#]+(?!\w)")
# From here on symbols are pictures; before are signs such as the degree's and the trade mark's.
_FIRST_PICTURE = 0x2190
_PICTURE_PARTS = {0x200D, 0x20E3, 0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080)}
_WORD = re.compile(r"\S+")
# Scripts without spaces between words.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def speakable(text: str) -> str:
    """A text as a person reads it out, on one line: no markup, emoji or control characters, of an address the host.

    Empty where nothing of it is spoken.
    """
    text = _ADDRESS.sub(r"\1", _LINK.sub(r"\1", text))
    text = _MARKUP.sub(" ", _TAG.sub(" ", text))
    text = " ".join("".join(char if _is_spoken(char) else " " for char in text).split())
    text = re.sub(r" (?=[,.;:!?])", "", text)
    return text if any(char.isalnum() for char in text) else ""


def _is_spoken(char: str) -> bool:
    category = unicodedata.category(char)
    picture = category == "So" and ord(char) >= _FIRST_PICTURE
    return category[0] != "C" and not picture and ord(char) not in _PICTURE_PARTS


def bounded(text: str, limit: int) -> tuple[str, str]:
    """The text up to its last whole word within so many characters, and the rest."""
    if len(text) <= limit:
        return text, ""
    end = text.rfind(" ", 0, limit + 1)
    end = end if end > 0 else limit
    return text[:end].rstrip(), text[end:].strip()


def heard_words(text: str, share: float) -> str:
    """The first words of a text of which a share (0–1) has been heard; a word counts when it has been heard whole.

    Characters stand for time: what is heard of a sentence grows about evenly with them.
    """
    if share >= 1.0:
        return text.strip()
    heard = share * len(text)
    if _UNSPACED.search(text):
        return text[: int(heard)].strip()
    end = 0
    for word in _WORD.finditer(text):
        if word.end() > heard:
            break
        end = word.end()
    return text[:end].strip()
