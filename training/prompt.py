"""The robot's own prompt, from the package's catalogue and persona."""

from __future__ import annotations

from smolfusion_ros.bringup.paths import share_directory
from smolfusion_ros.dialogue.actions import Catalogue
from smolfusion_ros.dialogue.persona import Persona
from smolfusion_ros.dialogue.prompt import PromptLayout


def robot_prompt(chat_format: str = "chatml", *, examples: bool = False) -> PromptLayout:
    """The layout that the dialogue node would make; a model that was taught the actions gets no examples."""
    config = share_directory() / "config"
    catalogue = Catalogue.load(config / "actions.yaml")
    persona = Persona.load(config / "persona.yaml", catalogue)
    return PromptLayout(persona if examples else persona.without_examples(), catalogue, chat_format)
