"""A person's ROS parameter file, looked through before anything starts.

rcl takes what it does not know in silence: a parameter that no node has, and a text where a number belongs, are as if
they had not been written.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from smolfusion_ros.documents import read_mapping
from smolfusion_ros.errors import ConfigurationError

_PARAMETERS = "ros__parameters"
# What every ROS node takes.
_COMMON = {"use_sim_time": False, "start_type_description_service": True}
_COMMON_PREFIX = "qos_overrides."

_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number with a decimal point",
    str: "text, in quotes",
}

Known = Mapping[str, Mapping[str, object]]


def known_parameters(path: Path) -> dict[str, dict[str, object]]:
    """The parameters of each node, with a value of each one's type, as a file names them."""
    known: dict[str, dict[str, object]] = {}
    for name, parameters in _sections(path, read_mapping(path)):
        known.setdefault(name, {}).update(parameters)
    return known


def check(path: Path, known: Known) -> None:
    """See that a file's parameters exist and have the right type; sections of nodes not in ``known`` are left alone.

    Args:
        known: the parameters of each node, with a value of each one's type.

    Raises:
        ConfigurationError: names the file, the node and the parameter.
    """
    if not path.is_file():
        raise ConfigurationError(f"no parameter file {path}")
    document = read_mapping(path)
    sections = list(_sections(path, document))
    if document and not sections:
        raise ConfigurationError(f"{path}: no {_PARAMETERS} in it; config/smolfusion.yaml shows the form")
    for node, parameters in sections:
        nodes = [each for each in known if each == node or "*" in node]
        for name, value in parameters.items() if nodes else ():
            if name.startswith(_COMMON_PREFIX):
                continue
            examples = [{**_COMMON, **known[each]}.get(name) for each in nodes]
            wanted = {type(example) for example in examples if example is not None}
            if not wanted:
                raise ConfigurationError(f"{path}: {node} has no parameter {name!r}{_meant(name, nodes, known)}")
            if not any(_fits(value, example) for example in examples):
                words = " or ".join(_TYPES[kind] for kind in wanted)
                raise ConfigurationError(f"{path}: {name} of {node} is {value!r}; it takes {words}")


def _fits(value: object, example: object) -> bool:
    if isinstance(example, float) and isinstance(value, str):  # rcl reads 1e-3 as a number, PyYAML does not
        return "e" in value.lower() and _is_number(value)
    return type(value) is type(example)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _meant(name: str, nodes: list[str], known: Known) -> str:
    close = difflib.get_close_matches(name, [each for node in nodes for each in known[node]], n=1)
    return f"; is {close[0]} meant?" if close else ""


def _sections(path: Path, level: Mapping[str, Any], node: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """(last part of a node's name, its parameters) of each section; names may be nested or joined by slashes."""
    for key, value in level.items():
        if key == _PARAMETERS:
            if not isinstance(value, dict):
                raise ConfigurationError(f"{path}: {_PARAMETERS} of {node or 'nobody'} is {value!r:.80}, no mapping")
            yield node.rsplit("/", 1)[-1], dict(_flat(value))
        elif isinstance(value, dict):
            yield from _sections(path, value, str(key))


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in parameters.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
