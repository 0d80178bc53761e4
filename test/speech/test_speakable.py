"""What is spoken of a text, and how much of it was heard."""

import pytest

from smolfusion_ros.speech.speakable import bounded, heard_words, speakable


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello, my friend.", "Hello, my friend."),
        ("**Very** well, `ls` it is!", "Very well, ls it is!"),
        ("Great 😀👍🏽!", "Great!"),
        ("Family 👨‍👩‍👧 and flag 🇰🇷 and 1️⃣", "Family and flag and 1"),
        ("It is 20 °C, ±1 %", "It is 20 °C, ±1 %"),
        ("3 < 5 and 5 > 3", "3 < 5 and 5 > 3"),
        ("<speak>Hi <break time='9s'/>you</speak>", "Hi you"),
        ("[[h@l'oU]] there", "h@l'oU there"),
        ("See https://www.example.org/a/b?c=1#d for more", "See example.org for more"),
        ("See [the page](https://example.org/x).", "See the page."),
        ("# Title\n- one\n- two", "Title - one - two"),
        ("a_b and _c_", "a_b and c"),
        ("a\x0150Sb\x00c\u200bd", "a 50Sb c d"),
        ("안녕하세요 😀", "안녕하세요"),
        ("😀", ""),
        ("...", ""),
        ("***", ""),
        ("", ""),
        ("-w /etc/passwd", "-w /etc/passwd"),
    ],
)
def test_markup_and_pictures_are_not_spoken(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize("share", [0.0, 0.1, 0.34, 0.5, 0.99, 1.0, 2.0])
def test_words_heard_are_whole_and_in_proportion(share: float) -> None:
    text = "I can wave my left hand for you"
    heard = heard_words(text, share)
    assert text.startswith(heard)
    assert heard.split() == text.split()[: len(heard.split())]
    assert len(heard) <= max(share * len(text), 0)
    missing = text[len(heard) :].split()
    assert not missing or len(heard) + 1 + len(missing[0]) > share * len(text)


def test_a_script_without_spaces_is_counted_by_characters() -> None:
    assert heard_words("你好很高兴见到你", 0.5) == "你好很高"
    assert heard_words("안녕하세요 반갑습니다", 0.5) == "안녕하세요"


def test_a_long_text_is_cut_between_words() -> None:
    assert bounded("one two three", 8) == ("one two", "three")
    assert bounded("one two three", 7) == ("one two", "three")
    assert bounded("one two three", 13) == ("one two three", "")
    assert bounded("x" * 30, 20) == ("x" * 20, "x" * 10)
