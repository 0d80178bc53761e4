"""YAML files whose entries know their line, so that an error can name it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from training.errors import TrainingError

LINE = "__line__"


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {str(key): value for key, value in loader.construct_mapping(node, deep=True).items()}
    found[LINE] = node.start_mark.line + 1
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(path: Path) -> dict[str, Any]:
    """A YAML mapping; every mapping in it has its line under ``LINE``.

    Raises:
        TrainingError: it cannot be read or parsed, or holds something else.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TrainingError.at(path, line, error.problem or error) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise TrainingError.at(path, 1, f"expected a mapping, found {document!r:.80}")
    return document
