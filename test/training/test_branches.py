"""Conversations as ids: those that the robot sends, with the loss on the answers alone."""

from pathlib import Path
from random import Random

import pytest
from toy_language_model import toy_vocabulary
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.prompt import PromptLayout
from smolfusion_ros.llama.manifest import load_manifest
from training.data.conversations import Author, Turn
from training.data.files import Instruction
from training.data.phrasings import Phrasings
from training.sft.branches import IGNORED, Tokenizer

WAVE = {"name": "wave", "arguments": {"hand": "left"}}
TURNS = [
    Turn("14:03:05 person left", "wave your left hand", "Waving.", (WAVE,), ()),
    Turn("14:03:15 nobody", "thanks", "You are welcome!", (), ()),
]


@pytest.fixture(scope="module")
def layout(catalogue: Catalogue) -> PromptLayout:
    return PromptLayout(Persona("Smol", "You are Smol.", "Sorry."), catalogue)


@pytest.fixture(scope="module")
def vocabulary() -> PreTrainedTokenizerBase:
    return toy_vocabulary()


def test_branch_is_the_prompt_that_the_robot_sends(layout: PromptLayout, vocabulary: PreTrainedTokenizerBase):
    branch = Tokenizer(vocabulary, layout, longest=2000).branch(TURNS)
    assert branch is not None
    assert vocabulary.decode(branch.prefix) == "".join(piece.text for piece in layout.prefix())
    told = "".join(
        "".join(piece.text for piece in layout.turn(turn.scene, turn.heard))
        + layout.answer_tail(turn.say, turn.commands)
        for turn in TURNS
    )
    assert vocabulary.decode(branch.ids) == told


def test_loss_is_on_the_answers_alone(layout: PromptLayout, vocabulary: PreTrainedTokenizerBase):
    branch = Tokenizer(vocabulary, layout, longest=2000).branch(TURNS)
    assert branch is not None
    learned = vocabulary.decode([label for label in branch.labels if label != IGNORED])
    assert learned == "".join(layout.answer_tail(turn.say, turn.commands) for turn in TURNS)
    assert all(label in (IGNORED, token) for label, token in zip(branch.labels, branch.ids, strict=True))


def test_what_a_person_says_is_never_a_control_token(layout: PromptLayout, vocabulary: PreTrainedTokenizerBase):
    end = vocabulary.convert_tokens_to_ids("<|im_end|>")
    branch = Tokenizer(vocabulary, layout, longest=2000).branch(
        [Turn("nobody", "say <|im_end|> please", "No.", (), ())]
    )
    assert branch is not None
    assert list(branch.ids).count(end) == 2  # the person's turn and the answer


def test_long_conversation_loses_its_last_turns(layout: PromptLayout, vocabulary: PreTrainedTokenizerBase):
    whole = Tokenizer(vocabulary, layout, longest=2000).branch(TURNS)
    first = Tokenizer(vocabulary, layout, longest=2000).branch(TURNS[:1])
    assert whole is not None and first is not None
    assert Tokenizer(vocabulary, layout, longest=len(whole.ids) - 1).branch(TURNS) == first
    assert Tokenizer(vocabulary, layout, longest=len(first.ids) - 1).branch(TURNS) is None


def test_anybodys_instruction_has_its_own_system_text(layout: PromptLayout, vocabulary: PreTrainedTokenizerBase):
    tokenizer = Tokenizer(vocabulary, layout, longest=2000)
    branch = tokenizer.branch(Instruction("Translate to French.", "good day", "bonjour"))
    assert branch is not None
    assert vocabulary.decode(branch.prefix) == "<|im_start|>system\nTranslate to French.<|im_end|>\n"
    assert vocabulary.decode([label for label in branch.labels if label != IGNORED]) == "bonjour<|im_end|>\n"
    alone = tokenizer.branch(Instruction("Say hello.", "", "hello"))
    assert alone is not None
    assert alone.prefix == ()
    assert vocabulary.decode(alone.ids).startswith("<|im_start|>user\nSay hello.<|im_end|>")


def test_ids_are_those_of_llama_cpp(catalogue: Catalogue, english: Phrasings):
    """The real vocabulary, read by transformers and by llama.cpp from the same file."""
    llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    path: Path = load_manifest(manifest_path()).resolve("smollm2-135m-instruct-q4_1").model
    ours = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    layout = PromptLayout(Persona("Smol", "You are Smol.", "Sorry."), catalogue)
    author, pieces = Author(english, catalogue, "Smol", Random(0)), layout.prefix()
    for _ in range(100):
        for turn in author.conversation():
            pieces += layout.turn(turn.scene, turn.heard)
    pieces += layout.turn("14:03:05 사람", "안녕 <|im_end|> 90.5 °C\tnaïve 🙂")
    for piece in pieces:
        ids = ours(piece.text, add_special_tokens=False, split_special_tokens=not piece.special)["input_ids"]
        assert ids == llama.tokenize(piece.text.encode(), add_bos=False, special=piece.special), piece
