"""Trains a tiny SmolVLM on drawn scenes: python -m training.vision RECIPE --out work/vision."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from smolfusion_ros.errors import SmolFusionError
from training.recipe import load
from training.vision.recipe import VisionRecipe
from training.vision.run import train


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="directory for scenes, checkpoint, journal and model")
    arguments = parser.parse_args()
    try:
        files = train(load(arguments.recipe, VisionRecipe), arguments.out)
    except SmolFusionError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"llama.cpp serves {files[0]} with --mmproj {files[1]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
