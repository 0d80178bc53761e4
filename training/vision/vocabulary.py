"""A small byte-pair vocabulary of a tiny SmolVLM, made from what it is taught to say, and its prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from training.errors import TrainingError
from training.vision.questions import answers
from training.vision.scenes import random_scene

START, END, PAD, UNKNOWN = "<|im_start|>", "<end_of_utterance>", "<|im_end|>", "<|endoftext|>"
IMAGE, AROUND, GLOBAL, TILE = "<image>", "<fake_token_around_image>", "<global-img>", "<row_1_col_1>"
# llama.cpp looks this token up by name; the byte-level alphabet writes a line feed so.
_BLANK_LINE = "ĊĊ"
_SPECIAL = (
    UNKNOWN,
    START,
    PAD,
    AROUND,
    IMAGE,
    END,
    GLOBAL,
    *(f"<row_{r}_col_{c}>" for r in range(1, 7) for c in range(1, 7)),
)
_CORPUS = 3000

# SmolVLM-Instruct's own, which also takes a content that is plain text, as llama-server hands it on.
CHAT_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'] is not string and message['content'][0]['type'] == 'image' %}{{ ':' }}"
    "{% else %}{{ ': ' }}{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}"
    "{% endfor %}{% endif %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, which of them are special, and the merges in order."""

    tokens: tuple[str, ...]
    special: frozenset[str]
    merges: tuple[str, ...]
    tokenizer: PreTrainedTokenizerFast = field(repr=False, compare=False)

    @classmethod
    def learned(cls, merges: int, seed: int) -> Vocabulary:
        """Learn at most ``merges`` merges from questions and answers about random scenes."""
        learner = Tokenizer(models.BPE())
        learner.pre_tokenizer = _pre_tokenizer()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + merges, initial_alphabet=alphabet, show_progress=False)
        learner.train_from_iterator(_corpus(seed), trainer)
        learned = json.loads(learner.to_str())["model"]["merges"]
        pairs = ["Ċ Ċ", *(pair if isinstance(pair, str) else " ".join(pair) for pair in learned)]
        tokens = dict.fromkeys((*_SPECIAL, *alphabet, *(pair.replace(" ", "", 1) for pair in pairs)))
        return cls.of(tuple(tokens), tuple(pairs))

    @classmethod
    def of(cls, tokens: Sequence[str], merges: Sequence[str]) -> Vocabulary:
        """The vocabulary of these tokens and merges."""
        ids = {token: index for index, token in enumerate(tokens)}
        pairs = [(pair.split(" ")[0], pair.split(" ")[1]) for pair in merges]
        tokenizer = Tokenizer(models.BPE(vocab=ids, merges=pairs))
        tokenizer.pre_tokenizer = _pre_tokenizer()
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
        fast = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=PAD, unk_token=UNKNOWN
        )
        fast.chat_template = CHAT_TEMPLATE
        return cls(tuple(tokens), frozenset(_SPECIAL), tuple(merges), fast)

    def save(self, directory: Path) -> None:
        """Write the tokenizer beside a model's weights."""
        self.tokenizer.save_pretrained(directory)

    @classmethod
    def load(cls, directory: Path) -> Vocabulary:
        """The vocabulary that ``save`` wrote; TrainingError where there is none."""
        path = directory / "tokenizer.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["model"]
            ids: dict[str, int] = found["vocab"]
            merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in found["merges"]]
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(f"{path} is no tokenizer of a tiny SmolVLM: {error}") from error
        return cls.of(sorted(ids, key=lambda token: ids[token]), merges)

    def id(self, token: str) -> int:
        return self.tokens.index(token)

    def ids(self, text: str) -> list[int]:
        """Text as ids; special tokens in it count as such."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt(self, question: str, view_tokens: int) -> list[int]:
        """A question about a picture, as llama.cpp's idefics3 preprocessing lays it out.

        The picture comes as one tile and then as the overview, ``view_tokens`` each.
        """
        view = [self.id(IMAGE)] * view_tokens
        between = [self.id(_BLANK_LINE), self.id(AROUND), self.id(GLOBAL)]
        head = [*self.ids(f"{START}User: "), self.id(AROUND), self.id(TILE)]
        return [*head, *view, *between, *view, self.id(AROUND), *self.ids(f"{question}{END}\nAssistant:")]

    def answer(self, text: str) -> list[int]:
        """What follows a prompt."""
        return [*self.ids(f" {text}"), self.id(END)]

    def text(self, ids: Sequence[int]) -> str:
        """An answer's ids as text."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """SmolLM2's: digits apart, words with the blank before them."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


def _corpus(seed: int) -> Iterator[str]:
    for index in range(_CORPUS):
        yield "User: "
        for question, answer in answers(random_scene(Random(f"vocabulary {seed} {index}"))).items():
            yield f"{question}\nAssistant: {answer}"
