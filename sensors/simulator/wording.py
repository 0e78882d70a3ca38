"""The sentences of the home's devices. A topic fits two situations, so it settles none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Sentences of each topic, and the words that fill their slots {place}, {who} and {state}.

    {n} is a number. Every sentence starts with one of `openings`.
    """

    openings: tuple[str, ...]
    place: tuple[str, ...]
    who: tuple[str, ...]
    state: tuple[str, ...]
    alarm: tuple[str, ...]
    entrance: tuple[str, ...]
    lounge: tuple[str, ...]
    kitchen: tuple[str, ...]


TRAIN_WORDING = Wording(
    openings=("", "hub: ", "event {n}: ", "log {n} ", "[{n}] ", "status - "),
    place=("bedroom", "cellar", "attic", "garage", "study", "bathroom", "west wing"),
    who=("the owner", "the neighbour", "the service", "anna", "mr hill"),
    state=("since {n} minutes", "for now", "again", "as planned", "battery {n} percent"),
    alarm=(
        "alarm panel: zone {n} triggered",
        "security system raised an alert, {who} called",
        "siren switched on in the {place}",
        "emergency alert sent to {who}",
        "detector {n} tripped the alarm {state}",
        "panel reports an alarm, code {n}",
        "alert: detector in the {place} is active",
        "the security panel calls {who}",
        "urgent: alarm condition near the {place}",
        "siren is sounding, security informed",
        "warning from the alarm system, {place}",
        "zone {n} of the panel in alarm state {state}",
        "emergency: detector triggered in the {place}",
        "{who} notified, urgent alert from the siren",
        "an alert came from the {place} detector {state}",
        "security: urgent call, warning level {n}",
    ),
    entrance=(
        "hallway motion detected {state}",
        "movement at the front door",
        "entrance light switched on by motion",
        "hall sensor reports motion, {place} clear",
        "someone moves in the corridor",
        "front door camera saw movement {state}",
        "motion near the entrance, {who} away",
        "corridor light on, movement seen",
        "the hall is active: motion sensor {n}",
        "doorway sensor {n} is active {state}",
        "movement sensor in the hallway woke up",
        "hall light level {n}, motion by the door",
        "entrance: presence near the doorway",
        "door area: motion event for {who}",
        "a presence in the corridor, sensor {n}",
        "front hall presence {state}",
    ),
    lounge=(
        "sofa occupied {state}",
        "living room armchair in use",
        "lounge lamp dimmed to {n} percent",
        "seat pressure on the sofa, {place} empty",
        "television turned off in the lounge",
        "living room blinds lowered {state}",
        "the armchair reports a person",
        "somebody sits on the couch",
        "couch cushion sensor {n} is active",
        "lounge heating set to {n} for {who}",
        "living room scene: relax {state}",
        "lamp beside the couch switched on",
        "tv paused, sofa still occupied",
        "cushion pressure {n} in the living room",
        "{who} chose the relax scene, lamp low",
        "armchair lamp dimmed, blinds closed",
    ),
    kitchen=(
        "oven timer set to {n} minutes",
        "dishwasher cycle started {state}",
        "kitchen fan running at level {n}",
        "fridge door closed, {place} dark",
        "stove power {n} watts",
        "kettle switched on in the kitchen",
        "the oven is active {state}",
        "cooker hood light on",
        "fridge compressor started, power {n}",
        "dishwasher reports {n} minutes left",
        "kitchen tap flow {n} litres",
        "coffee machine heated for {who}",
        "cooker timer running {state}",
        "stove and hood in use, fan level {n}",
        "{who} started the coffee machine",
        "kettle timer done, fridge at {n} degrees",
    ),
)

UNSEEN_WORDING = Wording(
    openings=("note: ", "msg {n}: ", "home says ", "({n}) "),
    place=("nursery", "loft", "landing", "workshop", "guest room"),
    who=("the family", "the caretaker", "aunt rose"),
    state=("just now", "at level {n}", "once more", "until {n} o'clock"),
    alarm=(
        "alarm in the {place}, siren on",
        "security alert from detector {n}",
        "urgent warning: panel zone {n} active",
        "emergency call to {who}: alarm triggered",
        "the siren was triggered by zone {n} {state}",
        "detector alert, security system in alarm {state}",
        "{who} gets an emergency warning from the panel",
    ),
    entrance=(
        "motion in the hallway {state}",
        "front door: presence and movement seen",
        "corridor sensor {n} saw motion",
        "hall motion, entrance light on",
        "movement near the doorway {state}",
        "the front door sensor tells {who} of motion",
        "presence detected at the entrance, hallway lit",
    ),
    lounge=(
        "couch occupied, lamp dimmed {state}",
        "living room sofa in use",
        "armchair cushion pressure {n}",
        "lounge blinds closed, tv off",
        "{who} on the sofa, relax scene",
        "somebody sits in the living room armchair {state}",
        "the lounge lamp is low and the couch occupied",
    ),
    kitchen=(
        "kitchen oven running {state}",
        "dishwasher and fridge power {n}",
        "stove timer: {n} minutes left",
        "cooker fan on, kettle heated",
        "coffee machine started in the kitchen {state}",
        "the hood over the stove runs for {who}",
        "oven heated to {n} degrees, kitchen tap closed",
    ),
)
