"""``ros2 run smolfusion_ros fetch_models --profile embedded``: gets the model files that a profile needs."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.errors import SmolFusionError
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.llama.prepare import prepare


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns 0, or 2 with a message on stderr."""
    parser = argparse.ArgumentParser(prog="fetch_models", description="Get the model files a profile needs.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="name in models/manifest.yaml")
    parser.add_argument("--profile", help="all models of this profile (name or path)")
    parser.add_argument("--manifest", type=Path, help="another manifest than the package's")
    arguments = parser.parse_args(argv)
    if not arguments.models and not arguments.profile:
        parser.error("name a profile or a model")
    try:
        names = list(arguments.models)
        if arguments.profile:
            names += [backend.model for backend in load_profile(arguments.profile).local_backends.values()]
        manifest = load_manifest(arguments.manifest or manifest_path())
        for name in names:
            files = prepare(manifest, name, report=partial(print, flush=True))
            for path in filter(None, (files.model, files.mmproj)):
                note = " (unverified: no SHA-256 known)" if path in files.unverified else ""
                print(f"{name}: {path}{note}", flush=True)
    except SmolFusionError as error:
        print(f"fetch_models: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
