"""A file that Piper takes for a voice: 256 frames of a hum a character. It proves the way to the package, no more."""

from __future__ import annotations

import json
from pathlib import Path

SAMPLE_RATE = 16000
FRAMES_PER_CHARACTER = 256
_FLOAT, _INT64 = 1, 7


def write_humming_voice(path: Path) -> Path:
    """Write the .onnx file and its .onnx.json; returned is the former.

    The graph: output = tile(cast(input) · 0.01, 256), written down in protobuf since onnx is no dependency.
    """
    nodes = [
        _node("Cast", ["input"], "number", _field(5, _field(1, b"to") + _field(3, _FLOAT) + _field(20, 2))),
        _node("Mul", ["number", "loudness"], "level"),
        _node("Tile", ["level", "repeats"], "output"),
    ]
    loudness = _field(2, _FLOAT) + _field(4, b"\x0a\xd7\x23\x3c") + _field(8, b"loudness")  # 0.01
    repeats = (
        _field(1, 2) + _field(2, _INT64) + _field(7, b"\x01" + _varint(FRAMES_PER_CHARACTER)) + _field(8, b"repeats")
    )
    graph = b"".join(_field(1, node) for node in nodes)
    graph += _field(2, b"hum") + _field(5, loudness) + _field(5, repeats)
    graph += _field(11, _value("input", _INT64, 2)) + _field(11, _value("input_lengths", _INT64, 1))
    graph += _field(11, _value("scales", _FLOAT, 1)) + _field(12, _value("output", _FLOAT, 2))
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(2, 13)))
    symbols = ["_", "^", "$", *(chr(code) for code in range(32, 127) if chr(code) not in "_^$")]
    description = {
        "num_symbols": len(symbols),
        "num_speakers": 1,
        "audio": {"sample_rate": SAMPLE_RATE},
        "espeak": {"voice": "en"},
        "phoneme_type": "text",
        "phoneme_id_map": {symbol: [index] for index, symbol in enumerate(symbols)},
    }
    path.with_name(path.name + ".json").write_text(json.dumps(description))
    return path


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _node(kind: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    return (
        b"".join(_field(1, name.encode()) for name in inputs)
        + _field(2, output.encode())
        + _field(4, kind.encode())
        + attribute
    )


def _value(name: str, kind: int, dimensions: int) -> bytes:
    shape = b"".join(_field(1, _field(2, f"{name}{index}".encode())) for index in range(dimensions))
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))
