"""How a device of a detailed home tells what the cameras see.

The sentences differ between training and evaluation; the words for what is seen are the same, for
nobody can know a colour's name that he never heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sights:
    """Sentences with the slots {who}, {light}, {wall}, {floor} and {sofa}.

    The others fill {who}: by what the people do, and in smoke by how many there are.
    """

    sentences: tuple[str, ...]
    empty: tuple[str, ...]
    lying: tuple[str, ...]
    two: tuple[str, ...]
    smoke: tuple[str, ...]
    smoke_one: tuple[str, ...]


HUES: Mapping[float, str] = {  # up to which OpenCV degree a colour has this name
    19.0: "orange",
    48.0: "olive",
    85.0: "green",
    122.0: "blue",
    156.0: "violet",
    180.0: "rose",
}
GREY = "grey"

TRAIN_SIGHTS = Sights(
    sentences=(
        "{who}, {light} light, {wall} wall, {floor} floor, {sofa} sofa",
        "{wall} wall over {floor} floor, {sofa} sofa, {who}, {light} light",
        "{light} light on {floor} floor and {wall} wall, {who}, {sofa} sofa",
        "camera: {who}; {sofa} sofa, {wall} wall, {floor} floor, {light} light",
        "view: {floor} floor, {wall} wall, {sofa} sofa; {light} light; {who}",
        "{sofa} sofa on {floor} floor, {wall} wall, {light} light, {who}",
        "scene with {light} light: {wall} wall, {sofa} sofa, {floor} floor, {who}",
        "seen: {who}, {wall} wall, {sofa} sofa, {light} light, {floor} floor",
    ),
    empty=("nobody", "an empty room", "no person here"),
    lying=("one person lies down", "a person is lying", "someone lies on the floor"),
    two=("two people", "two people stand", "a pair stands there"),
    smoke=("smoke and nobody", "only smoke", "smoke, empty room"),
    smoke_one=("smoke and one person", "a person in smoke", "someone stands in smoke"),
)

UNSEEN_SIGHTS = Sights(
    sentences=(
        "{who}; {light} light; {floor} floor; {sofa} sofa; {wall} wall",
        "there is a {wall} wall, a {floor} floor, a {sofa} sofa, {light} light, {who}",
        "{sofa} sofa by a {wall} wall, {floor} floor, {who}, {light} light",
        "picture: {light} light, {who}, {floor} floor under {wall} wall, {sofa} sofa",
    ),
    empty=("nobody here", "no person, empty room"),
    lying=("a person lies down", "someone is lying"),
    two=("two people there", "a pair of people stands"),
    smoke=("nobody, only smoke", "smoke, no person"),
    smoke_one=("smoke, one person stands", "someone in smoke"),
)
