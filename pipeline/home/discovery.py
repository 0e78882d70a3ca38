"""What Home Assistant is told about this run: one device, its sensors, and where their states are.

The form is MQTT device discovery (Home Assistant 2024.12 and newer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config import Config
from pipeline.outlet import EventRule, Mqtt

ATTRIBUTES = ("score", "weights", "missing", "latency_ms")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one run."""

    base: str
    discovery: str  # "" for none

    @property
    def availability(self) -> str:
        """`online` or `offline`, kept by the broker."""
        return f"{self.base}/availability"

    @property
    def state(self) -> str:
        """The newest prediction as JSON."""
        return f"{self.base}/state"

    def event(self, name: str) -> str:
        """Each start and end of an event as JSON."""
        return f"{self.base}/event/{name}"

    def active(self, name: str) -> str:
        """ON or OFF: whether the event goes on. Kept by the broker."""
        return f"{self.base}/active/{name}"


def topics_of(config: Config, keys: Mqtt) -> Topics:
    """The topics of a configuration."""
    device = f"sensorium_{config.name}"
    discovery = f"{keys.discovery}/device/{device}/config" if keys.discovery else ""
    return Topics(keys.base_topic or f"sensorium/{config.name}", discovery)


def discovery(
    name: str, topics: Topics, rules: Sequence[EventRule], expire_s: int
) -> dict[str, Any]:
    """The payload for Home Assistant."""
    identifier = f"sensorium_{name}"
    values = ", ".join(f"'{key}': value_json.{key}" for key in ATTRIBUTES)
    situation = {
        "p": "sensor",
        "unique_id": f"{identifier}_situation",
        "name": "Situation",
        "icon": "mdi:eye-outline",
        "state_topic": topics.state,
        "value_template": "{{ value_json.situation }}",
        "json_attributes_topic": topics.state,
        "json_attributes_template": "{{ {" + values + "} | tojson }}",
        "expire_after": expire_s,
    }
    events = {
        f"event_{rule.name}": {
            "p": "binary_sensor",
            "unique_id": f"{identifier}_event_{rule.name}",
            "name": rule.name.replace("_", " ").replace("-", " ").capitalize(),
            "state_topic": topics.active(rule.name),
            "json_attributes_topic": topics.event(rule.name),
            "expire_after": expire_s,
        }
        for rule in rules
    }
    return {
        "dev": {
            "ids": [identifier],
            "name": f"Sensorium {name}",
            "mf": "Sensorium",
            "mdl": "fusion pipeline",
            "sw": _version(),
        },
        "o": {"name": "sensorium", "sw": _version()},
        "cmps": {"situation": situation, **events},
        "availability_topic": topics.availability,
        "qos": 1,
    }


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # only where it is said

    try:
        return version("sensorium")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "0"
