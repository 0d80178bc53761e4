"""A scripted llama server in a thread, in the language model's place."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from scripted_server import Reply, ScriptedServer, Stream

COMPLETION = "/completion"
START_S = 5.0


def piece(text: str) -> dict[str, Any]:
    """One event of an answer, as llama.cpp's own server sends it."""
    return {"content": text, "tokens": [1], "stop": False}


LAST = {"content": "", "tokens": [], "stop": True}


def written(text: str) -> Stream:
    """A whole answer behind its opening, in two pieces."""
    return Stream(piece(text[: len(text) // 2]), piece(text[len(text) // 2 :]), LAST)


class ScriptedModel:
    """Presents itself as llama.cpp's own server; every piece of text has the same three tokens.

    Attributes:
        replies: by path; may be changed at any time.
        port: on 127.0.0.1.
        endless_pieces: how often the text of an endless answer was written.
    """

    def __init__(self) -> None:
        self.endless_pieces = 0
        self._server = ScriptedServer.native({"/tokenize": Reply({"tokens": [1, 2, 3]}), COMPLETION: written("")})
        self.replies = self._server.replies
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted model", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.__aenter__(), self._loop).result(START_S)
        self.port = int(self._server.url.rpartition(":")[2])

    def answers(self, reply: Reply | Stream) -> None:
        """What every request for an answer gets from now on."""
        self.replies[COMPLETION] = reply

    def answers_slowly(self, texts: Sequence[str], interval_s: float) -> None:
        """Write one text after the other, each so long after the one before; counted from now on."""
        gates = [asyncio.Event() for _ in texts]
        steps = [step for gate, text in zip(gates, texts, strict=True) for step in (gate, piece(text))]
        self.answers(Stream(*steps, LAST))
        self._loop.call_soon_threadsafe(self._open, gates, interval_s)

    def _open(self, gates: Sequence[asyncio.Event], interval_s: float) -> None:
        for number, gate in enumerate(gates, 1):
            self._loop.call_later(number * interval_s, gate.set)

    def answers_for_ever(self, text: str) -> None:
        """Write the same text until the client hangs up."""

        def steps() -> Iterator[dict[str, Any]]:
            while True:
                self.endless_pieces += 1
                yield piece(text)

        endless = Stream()
        endless.steps = steps()
        self.answers(endless)

    def asked_in_all(self) -> int:
        """How many requests there were, besides those for its health."""
        return sum(1 for asked in self._server.asked if asked.path != "/health")

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.__aexit__(None, None, None), self._loop).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        self._loop.close()
