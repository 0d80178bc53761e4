"""What a drawn scene shows, in the words in which perception describes a seen one."""

from smolfusion_ros.vision.scene import Person, SceneDescription, SceneObject, side_of
from smolfusion_ros.vision.specs import SceneSpec


def truth(spec: SceneSpec) -> SceneDescription:
    """Describe a drawn scene as a reader of its caption has to; what is held is on its holder's side."""
    visible = [person for person in spec.persons if person.visible]
    persons = tuple(
        Person(
            position=_side(person.x),
            expression=person.expression,
            gesture=person.gesture,
            clothing=f"{person.shirt} shirt",
            engaged=person.gesture == "waving",
        )
        for person in visible
    )
    held = [SceneObject(p.holding.label, p.holding.colour, _side(p.x)) for p in visible if p.holding is not None]
    standing = [SceneObject(thing.label, thing.colour, _side(thing.x)) for thing in spec.objects]
    return SceneDescription(persons, tuple(dict.fromkeys((*held, *standing))), "vlm", spec.caption)


def _side(x: float) -> str:
    return side_of(x, 1)
