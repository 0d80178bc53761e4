"""llama.cpp's native server from the xllamacpp wheel: ``python3 -m smolfusion_ros.llama.serve_xllamacpp``.

It answers /health, /slots, /tokenize, /completion and /v1 as the llama-server binary does.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from smolfusion_ros.llama.serving import end_at_once_while_loading, exit_on_signal, parse_options

# llama.cpp's log level: errors. Its warnings tell of every repeated prompt.
LOG_ERRORS = 1


def common_params(xllamacpp: Any, options: argparse.Namespace) -> Any:
    """xllamacpp's CommonParams for parsed options."""
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.mmproj.path = options.mmproj
    if options.lora:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(options.lora, 1.0)]
    params.model_alias = {options.alias or options.model}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads_batch
    params.n_batch = options.batch_size
    params.n_ubatch = options.ubatch_size
    params.n_gpu_layers = options.n_gpu_layers
    params.mmproj_use_gpu = options.n_gpu_layers > 0
    params.flash_attn_type = xllamacpp.llama_flash_attn_type[
        {"auto": "LLAMA_FLASH_ATTN_TYPE_AUTO", "on": "LLAMA_FLASH_ATTN_TYPE_ENABLED"}.get(
            options.flash_attn, "LLAMA_FLASH_ATTN_TYPE_DISABLED"
        )
    ]
    params.cache_ram_mib = options.cache_ram
    # Idle slots are moved to that cache; without one the server warns.
    params.cache_idle_slots = options.cache_ram > 0
    if options.image_max_tokens:
        params.image_min_tokens = options.image_min_tokens
        params.image_max_tokens = options.image_max_tokens
    params.endpoint_slots = True
    if options.slot_save_path:
        params.slot_save_path = options.slot_save_path + os.sep
    params.ui = False
    # The default lets every web page open in a browser on this machine read the answers.
    params.cors_origins = "http://localhost"
    # Sizes are the profile's; fitting them to the memory would load the model twice.
    params.fit_params = False
    params.verbosity = LOG_ERRORS
    return params


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, then exit with code 0; 1 where the model cannot be served."""
    options = parse_options("serve_xllamacpp", argv)
    end_at_once_while_loading()
    xllamacpp = importlib.import_module("xllamacpp")
    try:
        server = xllamacpp.Server(common_params(xllamacpp, options))
    except RuntimeError as error:
        print(f"serve_xllamacpp: cannot serve {options.model}: {error}", file=sys.stderr)
        return 1
    print(f"serve_xllamacpp: {options.alias} on {server.listening_address}", flush=True)
    exit_on_signal()
    return 0


if __name__ == "__main__":
    sys.exit(main())
