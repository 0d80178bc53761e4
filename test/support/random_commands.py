"""Random commands, each valid by a catalogue, as a model writes them."""

from __future__ import annotations

from random import Random
from typing import Any

from smolfusion_ros.dialogue.actions import UNITS, Action, Argument

NOUNS = ("person", "left", "cup", "red ball", "t-shirt", "a" * 31)


def any_command(random: Random, action: Action) -> dict[str, Any]:
    """One command of an action; arguments that may be left out sometimes are."""
    arguments = {
        argument.spoken_name: _value(random, argument)
        for argument in action.arguments
        if not argument.optional or random.random() < 0.5
    }
    return {"name": action.name, "arguments": arguments}


def _value(random: Random, argument: Argument) -> object:
    if argument.kind == "choice":
        return random.choice(argument.values)
    if argument.kind != "quantity":
        return random.choice(NOUNS)
    unit = random.choice(list(UNITS[argument.unit]))
    factor = UNITS[argument.unit][unit]
    low, high = argument.minimum / factor, argument.maximum / factor
    # Away from the ends by what rounding to two decimals may take.
    number = round(random.uniform(low + 0.005, high - 0.005), 2)
    whole = int(number) >= low and random.random() < 0.5
    return {"value": int(number) if whole else number, "unit": unit}
