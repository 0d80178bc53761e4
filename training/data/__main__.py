"""Writes the training and the test data: python -m training.data --out work/data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from smolfusion_ros.errors import SmolFusionError
from training.data.make import make


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory for train.jsonl and test.jsonl")
    parser.add_argument("--train", type=int, default=20000, help="conversations to train with")
    parser.add_argument("--test", type=int, default=1000, help="conversations of the test families")
    parser.add_argument("--language", default="en", help="a directory of training/phrasings")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        make(given.out, train=given.train, test=given.test, language=given.language, seed=given.seed)
    except SmolFusionError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
