"""llama.cpp's own grammar engine as a judge: does a GBNF grammar let a model write a text?

Takes the tokens of a vocabulary that the package ships; no weights are loaded.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VOCABULARY = Path(__file__).parents[2] / "models" / "tiny_smolvlm-text-f16.gguf"

_kept: list[Any] = []  # callbacks that C code holds


def _llama_cpp() -> Any:
    return pytest.importorskip("llama_cpp", reason="llama-cpp-python, whose grammar engine is the judge, is missing")


@cache
def _vocabulary() -> Any:
    llama_cpp = _llama_cpp()
    llama_cpp.llama_backend_init()
    _kept.append(llama_cpp.llama_log_callback(lambda level, text, data: None))
    llama_cpp.llama_log_set(_kept[-1], ctypes.c_void_p(0))
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(VOCABULARY).encode(), parameters)
    assert model, f"{VOCABULARY} cannot be loaded"
    return llama_cpp.llama_model_get_vocab(model)


def _tokens(text: str) -> list[int]:
    llama_cpp = _llama_cpp()
    data = text.encode()
    buffer = (llama_cpp.llama_token * (len(data) + 8))()
    count = llama_cpp.llama_tokenize(_vocabulary(), data, len(data), buffer, len(buffer), False, False)
    ids = list(buffer[:count])
    back = ctypes.create_string_buffer(2 * len(data) + 8)
    length = llama_cpp.llama_detokenize(_vocabulary(), buffer, count, back, len(back), False, True)
    assert back.raw[:length] == data, "the vocabulary cannot spell this text"
    return ids


def admits(grammar: str, text: str) -> bool:
    """The whole text, and its end after it, may be written.

    Raises:
        ValueError: llama.cpp cannot parse the grammar.
    """
    llama_cpp = _llama_cpp()
    sampler = llama_cpp.llama_sampler_init_grammar(_vocabulary(), grammar.encode(), b"root")
    if not sampler:
        raise ValueError("llama.cpp cannot parse the grammar")
    try:
        for token in [*_tokens(text), llama_cpp.llama_vocab_eos(_vocabulary())]:
            candidate = (llama_cpp.llama_token_data * 1)(llama_cpp.llama_token_data(token, 1.0, 0.0))
            candidates = llama_cpp.llama_token_data_array(data=candidate, size=1, selected=-1, sorted=False)
            llama_cpp.llama_sampler_apply(sampler, ctypes.byref(candidates))
            if candidate[0].logit == -float("inf"):
                return False
            llama_cpp.llama_sampler_accept(sampler, token)
    finally:
        llama_cpp.llama_sampler_free(sampler)
    return True
