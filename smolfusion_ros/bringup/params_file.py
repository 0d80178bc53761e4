"""A person's ROS parameter file, looked through before anything starts.

rcl takes what it does not know in silence: a parameter that no node has, and a text where a number belongs, are as if
they had not been written.
"""

from __future__ import annotations

import difflib
import re
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
    """The parameters of each node, with a value of each one's type, as the package's own file names them."""
    return {name.rsplit("/", 1)[-1]: parameters for name, parameters in _sections(path, read_mapping(path))}


def check(path: Path, known: Known, namespace: str) -> None:
    """See that a file's parameters exist and have the right type; other nodes' sections are left alone.

    Args:
        known: the parameters of each node, with a value of each one's type.
        namespace: of these nodes.

    Raises:
        ConfigurationError: names the file, the node and the parameter.
    """
    if not path.is_file():
        raise ConfigurationError(f"no parameter file {path}")
    document = read_mapping(path)
    sections = list(_sections(path, document))
    if document and not sections:
        raise ConfigurationError(f"{path}: no {_PARAMETERS} in it; config/smolfusion.yaml shows the form")
    prefix = f"/{namespace.strip('/')}".rstrip("/")
    addressed = [(name, _nodes(name, known, prefix), parameters) for name, parameters in sections]
    if sections and not any(nodes for _, nodes, _ in addressed):
        raise ConfigurationError(f"{path}: {sections[0][0]} is no node under {prefix or '/'}; write /**/<node>")
    for name, nodes, parameters in addressed:
        for parameter, value in parameters.items() if nodes else ():
            _check_value(f"{path}: {name}", {node: known[node] for node in nodes}, parameter, value)


def _nodes(name: str, known: Known, prefix: str) -> list[str]:
    """Which of the nodes a section's name stands for, as rcl matches it: ``/*`` is one part, ``/**`` any number."""
    pattern = re.escape(name).replace(r"/\*\*", r"(/\w+)*").replace(r"/\*", r"/\w+")
    return [node for node in known if re.fullmatch(pattern, f"{prefix}/{node}")]


def _check_value(where: str, known: Known, name: str, value: object) -> None:
    if name.startswith(_COMMON_PREFIX):
        return
    examples = [{**_COMMON, **parameters}.get(name) for parameters in known.values()]
    wanted = {type(example) for example in examples if example is not None}
    if not wanted:
        raise ConfigurationError(f"{where} has no parameter {name!r}{_meant(name, known)}")
    if not any(_fits(value, example) for example in examples):
        words = " or ".join(_TYPES[kind] for kind in wanted)
        raise ConfigurationError(f"{where}: {name} is {value!r}; it takes {words}")


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


def _meant(name: str, known: Known) -> str:
    close = difflib.get_close_matches(name, [each for parameters in known.values() for each in parameters], n=1)
    return f"; is {close[0]} meant?" if close else ""


def _sections(path: Path, level: Mapping[str, Any], node: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """(name of a node, its parameters) of each section; names may be nested or joined by slashes."""
    for key, value in level.items():
        if key == _PARAMETERS:
            if not isinstance(value, dict):
                raise ConfigurationError(f"{path}: {_PARAMETERS} of {node or 'nobody'} is {value!r:.80}, no mapping")
            yield node, dict(_flat(value))
        elif isinstance(value, dict):
            yield from _sections(path, value, f"{node}/{str(key).strip('/')}")


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in parameters.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
