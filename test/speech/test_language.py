"""The language of a text by its script."""

import pytest

from smolfusion_ros.speech.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there!", "en"),
        ("안녕하세요, 반갑습니다.", "ko"),
        ("Tom, 안녕하세요.", "ko"),
        ("In Korean, hello is 안녕.", "en"),
        ("こんにちは", "ja"),
        ("東京駅へ行きます", "ja"),
        ("カメラ", "ja"),
        ("你好，很高兴见到你", "zh"),
        ("Привет, как дела?", "ru"),
        ("Ça va très bien", "en"),
        ("ㅋㅋㅋ", "ko"),
        ("", "en"),
        ("42 – 7!", "en"),
        ("😀", "en"),
    ],
)
def test_the_script_tells_the_language(text: str, language: str) -> None:
    assert language_of(text) == language


def test_latin_letters_and_bare_numbers_are_of_the_language_given() -> None:
    assert language_of("Guten Tag", latin="de") == "de"
    assert language_of("42", latin="de") == "de"
    assert language_of("안녕", latin="de") == "ko"
