"""llama-cpp-python's OpenAI server: ``python3 -m smolfusion_ros.llama.serve_llama_cpp_python``.

Its own command line cannot bound an image's tokens and lets a second request end the first one's stream; here
both are set. It holds one conversation: --parallel and --cache-ram are taken and have no effect.
"""

import argparse
import ctypes
import importlib
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from smolfusion_ros.llama.serving import end_at_once_while_loading, exit_on_signal, parse_options

POLL_S = 0.01


class BoundedContextParams:
    """Stands in for llama-cpp-python's mtmd bindings and bounds the tokens of an image.

    llama-cpp-python 0.3.36 makes the vision context's parameters from defaults and has no option for them.
    """

    def __init__(self, bindings: Any, image_min_tokens: int, image_max_tokens: int) -> None:
        self._bindings = bindings
        self._bounds = (image_min_tokens, image_max_tokens)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bindings, name)

    def mtmd_context_params_default(self) -> Any:
        """The default parameters with this object's bounds."""
        params = self._bindings.mtmd_context_params_default()
        params.image_min_tokens, params.image_max_tokens = self._bounds
        return params


def attach_vision(llama: Any, options: argparse.Namespace) -> None:
    """Give a loaded Llama its eyes, now: a projector that does not fit must not wait for the first image."""
    formats = importlib.import_module("llama_cpp.llama_chat_format")
    handler = formats.MTMDChatHandler(options.mmproj, verbose=False, use_gpu=options.n_gpu_layers > 0)
    if options.image_max_tokens:
        handler._mtmd_cpp = BoundedContextParams(handler._mtmd_cpp, options.image_min_tokens, options.image_max_tokens)
    handler._init_mtmd_context(llama)
    llama.chat_handler = handler


def quieten_vision() -> Any:
    """Silence the vision library, which logs every image; the result must be kept alive."""
    llama_cpp = importlib.import_module("llama_cpp")
    mtmd = importlib.import_module("llama_cpp.mtmd_cpp")

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def discard(level: int, text: bytes, user_data: Any) -> None:
        pass

    mtmd.mtmd_log_set(discard, ctypes.c_void_p(0))
    mtmd.mtmd_helper_log_set(discard, ctypes.c_void_p(0))
    return discard


def create_app(options: argparse.Namespace) -> Any:
    """The ASGI application with its model loaded; ValueError where the model or projector is unusable."""
    server = importlib.import_module("llama_cpp.server.app")
    settings = importlib.import_module("llama_cpp.server.settings")
    model = settings.ModelSettings(
        model=options.model,
        model_alias=options.alias or options.model,
        lora_path=options.lora or None,
        n_ctx=options.ctx_size // options.parallel,
        n_batch=options.batch_size,
        n_ubatch=options.ubatch_size,
        n_threads=options.threads,
        n_threads_batch=options.threads_batch,
        n_gpu_layers=options.n_gpu_layers,
        flash_attn=options.flash_attn == "on",
        # The default keeps every token's logits: 0.8 GB at 4096 tokens and 49152 words.
        logits_all=False,
        verbose=False,
    )
    serving = settings.ServerSettings(host=options.host, port=options.port, interrupt_requests=False)
    app = server.create_app(server_settings=serving, model_settings=[model])
    # Its default lets every web page open in a browser on this machine read the answers.
    app.user_middleware = [item for item in app.user_middleware if item.cls is not server.CORSMiddleware]
    if options.mmproj:
        attach_vision(server._llama_proxy(), options)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, then exit with code 0; 1 where the model cannot be served."""
    options = parse_options("serve_llama_cpp_python", argv)
    end_at_once_while_loading()
    uvicorn = importlib.import_module("uvicorn")
    callback = quieten_vision()
    try:
        app = create_app(options)
    except ValueError as error:
        print(f"serve_llama_cpp_python: cannot serve {options.model}: {error}", file=sys.stderr)
        return 1
    server = uvicorn.Server(
        uvicorn.Config(app, host=options.host, port=options.port, log_level="warning", access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            print(f"serve_llama_cpp_python: cannot listen on {options.host}:{options.port}", file=sys.stderr)
            return 1
        time.sleep(POLL_S)
    print(f"serve_llama_cpp_python: {options.alias} on http://{options.host}:{options.port}", flush=True)
    exit_on_signal()
    del callback
    return 0


if __name__ == "__main__":
    sys.exit(main())
