"""Which language a text is in, by its script: enough to choose a voice."""

from __future__ import annotations

import unicodedata
from collections import Counter

# By the first word of a letter's Unicode name.
_LANGUAGES = {
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HEBREW": "he",
    "THAI": "th",
    "DEVANAGARI": "hi",
}
# A syllable or an ideograph stands for about as much as three letters.
_WEIGHTS = {"ko": 3, "ja": 3, "zh": 3}


def language_of(text: str, latin: str = "en") -> str:
    """The language in which most of a text is written, as a BCP 47 primary tag.

    Args:
        text: any text.
        latin: what Latin letters, and a text without letters, are taken for.
    """
    weights: Counter[str] = Counter()
    for char in text:
        if char.isalpha():
            script = unicodedata.name(char, "").split(" ")[0].split("-")[0]
            language = _LANGUAGES.get(script, latin)
            weights[language] += _WEIGHTS.get(language, 1)
    if weights["ja"]:  # Japanese writes its nouns in Han
        weights["ja"] += weights.pop("zh", 0)
    return max(weights, key=lambda language: weights[language], default=latin)
