"""Whether a run is measured by Prometheus."""

from __future__ import annotations

from pipeline.config import Config

METRICS = "metrics"  # the process


def is_wanted(config: Config) -> bool:
    """Whether somebody may scrape."""
    return config.out.prometheus is not None
