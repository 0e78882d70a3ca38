"""What is wrong with the data, in one line that says what to do."""

from __future__ import annotations

from pipeline.error import SensoriumError


class LearningError(SensoriumError):
    """There is nothing to learn from, or nothing to measure with."""
