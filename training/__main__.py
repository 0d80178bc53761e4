"""A language model from its recipe to GGUF files and a report: python -m training RECIPE --out work/NAME.

Run again, it goes on where it stopped: the training from its last checkpoint.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from smolfusion_ros.errors import SmolFusionError
from training.pipeline import Pipeline
from training.recipe import Recipe, load


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, help="a YAML file of training/configs")
    parser.add_argument("--out", type=Path, required=True, help="directory for all that is made")
    parser.add_argument("--only", nargs="+", metavar="STEP", help="data, train, export, evaluate, report; default: all")
    arguments = parser.parse_args()
    try:
        pipeline = Pipeline(load(arguments.recipe, Recipe), arguments.out)
        chosen = arguments.only or list(pipeline.steps)
        unknown = sorted(set(chosen) - set(pipeline.steps))
        if unknown:
            parser.error(f"no step {', '.join(unknown)}: there are {', '.join(pipeline.steps)}")
        for name in chosen:
            Console().rule(name)
            pipeline.steps[name]()
    except SmolFusionError as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
