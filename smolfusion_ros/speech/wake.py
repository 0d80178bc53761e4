"""A wake word, found in the transcript: any words will do, and no engine of its own is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from smolfusion_ros.errors import SpeechError

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def _never(_text: str) -> bool:
    return False


def edit_distance(one: str, other: str) -> int:
    """Letters to insert, drop or replace (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


class Wake:
    """Lets through what is addressed to the robot; used by one thread.

    Args:
        words: an utterance must begin with one of them ("robot", "hey smol"); recognisers mishear, so one letter of
            five may differ, two of nine. None at all: everything passes.
        awake_s: after an utterance that passed, others pass without for so long, 0 to 3600.
        always: what passes whatever it begins with, such as a spoken stop; it wakes nobody.

    Raises:
        SpeechError: a word has no letters, or awake_s is out of range.
    """

    def __init__(self, words: Sequence[str], awake_s: float = 10.0, always: Callable[[str], bool] = _never) -> None:
        if not 0 <= awake_s <= 3600:
            raise SpeechError(f"awake_s is {awake_s}: use 0 to 3600")
        self._words = [_letters(word) for word in words]
        if not all(self._words):
            raise SpeechError(f"a wake word of {list(words)} has no letters")
        self._awake_s = awake_s
        self._always = always
        self._awake_until_s = float("-inf")

    def is_awake(self, time_s: float) -> bool:
        """Whether an utterance at that time passes without a wake word."""
        return not self._words or time_s <= self._awake_until_s

    def take(self, text: str, start_s: float, end_s: float) -> str | None:
        """What is said to the robot, without the wake word; "" is the wake word alone, None not for the robot.

        Args:
            start_s, end_s: of the utterance, any clock; who begins in time has not come too late.
        """
        rest = self._after_wake_word(text)
        if rest is None:
            if self._always(text):
                return text
            if not self.is_awake(start_s):
                return None
            rest = text
        self._awake_until_s = end_s + self._awake_s
        return rest

    def _after_wake_word(self, text: str) -> str | None:
        spoken = list(_WORD.finditer(text))
        found: tuple[int, int] | None = None
        for word in self._words:
            for count in range(1, min(len(spoken), len(word)) + 1):
                heard = "".join(_letters(each.group()) for each in spoken[:count])
                if len(heard) > len(word) + 2:
                    break
                distance = edit_distance(heard, word)
                if distance <= _allowed(word) and (found is None or distance < found[0]):
                    found = distance, spoken[count - 1].end()
        return None if found is None else re.sub(r"^[\s\W_]+", "", text[found[1] :])


def _letters(text: str) -> str:
    """Lower case, without space and punctuation: "Hey, Smol!" and "heysmol" sound the same."""
    return "".join(re.findall(r"[^\W_]", text.casefold()))


def _allowed(word: str) -> int:
    return 2 if len(word) >= 9 else 1 if len(word) >= 5 else 0
