"""What may be learned of a scene, as sets of labels: besides the situation all that makes it up."""

from __future__ import annotations

from collections.abc import Mapping

from sensors.simulator.person import people_of
from sensors.simulator.scene import Look, Scene, Sound, Topic, Trend

_SEEN: Mapping[Look, str] = {
    "lying": "a person lies down",
    "haze": "smoke fills the room",
    "empty": "the room is empty",
    "two": "two people stand together",
}
_HEARD: Mapping[Sound, str] = {
    "crash": "something breaks with a crash",
    "tone": "a tone rings",
    "speech": "voices talk",
    "background": "nothing is heard",
}
_FELT: Mapping[Trend, str] = {-1: "colder", 0: "steady", 1: "warmer"}
_PLACE: Mapping[Topic, str] = {
    "alarm": "alarm_panel",
    "entrance": "entrance",
    "lounge": "lounge",
    "kitchen": "kitchen",
}
_ACTION: Mapping[str, str] = {
    "smoke_alarm": "call_help",
    "glass_break": "call_help",
    "fall": "call_help",
    "doorbell": "announce",
    "cooking": "ventilate",
}


def labels_of(scene: Scene) -> dict[str, tuple[str, ...]]:
    """{label set: labels} of a scene.

    `truth` is its situation; `household` is finer, with who is in the smoke, and so has ten labels;
    `who` is there ("nobody", "one", "two"), `people` their number, `signs` all that can be noticed,
    `caption` a sentence that says it, `action` what to do, `alert` whether somebody must come.
    """
    cue, people = scene.cue, len(people_of(scene, scene.rng("room")))
    who, action = ("nobody", "one", "two")[people], _ACTION.get(scene.label, "none")
    signs = {cue.look, cue.sound, _PLACE[cue.topic], _FELT[cue.trend]}
    return {
        "truth": (scene.label,),
        "household": (f"{scene.label}_{who}" if cue.look == "haze" else scene.label,),
        "who": (who,),
        "people": (str(people),),
        "signs": tuple(sorted(signs - {"empty", "background", "steady"})),
        "caption": (f"{_SEEN[cue.look]} and {_HEARD[cue.sound]}",),
        "action": (action,),
        "alert": ("yes" if action == "call_help" else "no",),
    }
