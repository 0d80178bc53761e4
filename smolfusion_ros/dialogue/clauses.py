"""Whole clauses out of text that comes in pieces: a speaker begins with the first and need not wait for the rest."""

from __future__ import annotations

import re

# A sentence may be of one word; a part of one that is shorter would be spoken in gasps.
MIN_WORDS = 3
_END = re.compile(r"[.!?…。！？]+[\"'”’)]*(?=\s)|[,;:](?=\s)")
_SENTENCE_ENDS = ".!?…。！？"


class Clauses:
    """Collects text until a clause is whole.

    A clause ends at a sentence's end, or at a comma, semicolon or colon behind at least three words; white space must
    follow, so that neither "3.5" nor "14:30" is cut.
    """

    def __init__(self) -> None:
        self._pending = ""

    def feed(self, text: str) -> str:
        """Take the next piece; the clauses that it completes, empty where it completes none."""
        self._pending += text
        end = 0
        for match in _END.finditer(self._pending):
            words = len(self._pending[end : match.start()].split())
            if match[0][0] in _SENTENCE_ENDS or words >= MIN_WORDS:
                end = match.end()
        whole, self._pending = self._pending[:end], self._pending[end:]
        return whole.strip()

    def rest(self) -> str:
        """What has not been given out, at the end of the text."""
        rest, self._pending = self._pending, ""
        return rest.strip()
