"""Whether a configuration's governor has a deadline to keep."""

from __future__ import annotations

from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.governor.level import GOVERNOR


def check_governor(config: Config, place: str) -> None:
    """Raise ConfigError, naming the key, where it has none, or an event takes its name."""
    if not config.fusion.governor:
        return
    if not config.fusion.deadline_ms:
        raise ConfigError(f"{place}: fusion.governor: keeps a deadline; set fusion.deadline_ms")
    if any(rule.name == GOVERNOR for rule in config.event):
        raise ConfigError(f"{place}: event.name: {GOVERNOR} is the governor's own; take another")
