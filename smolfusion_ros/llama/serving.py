"""What this package's two servers share: llama-server's options, and an end that leaves nothing behind."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def parse_options(program: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """Options by llama-server's names and units; host is loopback unless another is given."""
    parser = argparse.ArgumentParser(prog=program, description="Serve a GGUF model by the OpenAI API.")
    parser.add_argument("--model", required=True, help="path of a .gguf file")
    parser.add_argument("--mmproj", default="", help="vision projector, path of a .gguf file")
    parser.add_argument("--lora", default="", help="adapter, path of a .gguf file")
    parser.add_argument("--alias", default="", help="the model's name under /v1/models")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--ctx-size", type=int, default=4096, help="tokens, shared out among --parallel slots")
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--threads-batch", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--ubatch-size", type=int, default=64)
    parser.add_argument("--n-gpu-layers", type=int, default=0)
    parser.add_argument("--flash-attn", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--cache-ram", type=int, default=0, help="MiB")
    parser.add_argument("--image-min-tokens", type=int, default=0, help="0: the model's own")
    parser.add_argument("--image-max-tokens", type=int, default=0, help="0: the model's own")
    parser.add_argument("--slot-save-path", default="", help="directory for evaluated prompts; empty: none are saved")
    return parser.parse_args(argv)


def end_at_once_while_loading() -> None:
    """Let SIGINT and SIGTERM end the process by the kernel: Python's handlers wait for native loading."""
    for number in END_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def exit_on_signal() -> None:
    """Wait for SIGINT or SIGTERM, then end the process with code 0; does not return.

    The process ends without destructors: native threads in the middle of a computation would crash on them,
    and the kernel takes back memory, sockets and GPU contexts.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # Any native thread may receive the signal; the pipe wakes this one whichever it was.
    signal.set_wakeup_fd(writer)
    for number in END_SIGNALS:
        signal.signal(number, lambda *_: None)
    os.read(reader, 1)
    sys.stdout.flush()
    os._exit(0)
