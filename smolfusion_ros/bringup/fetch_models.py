"""``ros2 run smolfusion_ros fetch_models --profile embedded``: gets the model files that a profile needs."""

import argparse
import sys
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from smolfusion_ros.bringup.paths import manifest_path
from smolfusion_ros.bringup.profile import load_profile
from smolfusion_ros.errors import SmolFusionError
from smolfusion_ros.llama.download import unwatched
from smolfusion_ros.llama.manifest import load_manifest
from smolfusion_ros.llama.prepare import prepare


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns 0, 2 with a message on stderr, or 130 where it was interrupted."""
    parser = argparse.ArgumentParser(prog="fetch_models", description="Get the model files a profile needs.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="name in models/manifest.yaml")
    parser.add_argument("--profile", help="all models of this profile (name or path)")
    parser.add_argument("--manifest", type=Path, help="another manifest than the package's")
    arguments = parser.parse_args(argv)
    if not arguments.models and not arguments.profile:
        parser.error("name a profile or a model")
    report = partial(print, flush=True)
    watch = _bar if sys.stdout.isatty() else unwatched
    try:
        names = list(arguments.models)
        if arguments.profile:
            profile = load_profile(arguments.profile)
            names += [backend.model for backend in profile.local_backends.values()]
            names += profile.speech.models if profile.speech else ()
        if not names:
            report(f"profile {arguments.profile} takes its models from other machines: nothing to get")
        manifest = load_manifest(arguments.manifest or manifest_path())
        for name in dict.fromkeys(names):
            files = prepare(manifest, name, report, watch)
            for path in files.all:
                note = " (unverified: no SHA-256 in the manifest)" if path in files.unverified else ""
                report(f"{name}: {path}{note}")
    except SmolFusionError as error:
        print(f"fetch_models: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fetch_models: interrupted; call again to go on", file=sys.stderr)
        return 130
    return 0


def _bar(chunks: Iterator[bytes], name: str, done: int, total: int | None) -> Generator[bytes, None, None]:
    """Show a download on the terminal as its chunks pass, where its size is known."""
    if total is None:
        yield from chunks
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), transient=True) as progress:
        task = progress.add_task(name, total=total, completed=done)
        for chunk in chunks:
            yield chunk
            progress.advance(task, len(chunk))


if __name__ == "__main__":
    sys.exit(main())
