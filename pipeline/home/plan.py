"""Whether a run speaks to the home, and with whom."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config import Config
from pipeline.home.discovery import topics_of

HOME = "home"  # the process


def is_wanted(config: Config) -> bool:
    """Whether there is a broker to tell, or an action that is enabled."""
    return config.out.mqtt is not None or any(action.enabled for action in config.action)


def outlet_lines(config: Config) -> Iterator[str]:
    """Where events, states and metrics go, for people."""
    for rule in config.event:
        yield f"event/{rule.name} [{rule.label} >= {rule.enter:g} .. {rule.leave:g}]"
    if mqtt := config.out.mqtt:
        login = mqtt.login
        yield f"    home -> mqtt://{login.host}:{login.port}/{topics_of(config, mqtt).base}"
    for action in config.action:
        state = "" if action.enabled else " (not enabled)"
        yield f"    {action.event} {action.on} -> {action.topic or action.endpoint}{state}"
    if config.out.prometheus:
        yield f"    metrics <- http://{config.out.prometheus.listen}/metrics"
