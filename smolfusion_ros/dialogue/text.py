"""Text from outside made fit for one line."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text with everything that does not print, and surplus space, made single spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
