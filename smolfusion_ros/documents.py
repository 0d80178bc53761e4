"""Reads the YAML files that describe things: profiles, the manifest, the catalogue, the persona."""

from pathlib import Path
from typing import Any

import yaml

from smolfusion_ros.errors import ConfigurationError


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        ConfigurationError: it cannot be read, parsed, or holds something else; names the file.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: expected a mapping, found {document!r:.80}")
    return document
