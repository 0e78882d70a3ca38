"""Stuck sensors: devices that go on delivering, but nothing of use.

frozen: the same picture, sound or readings again and again. black: a picture without light.
covered: one without any detail. noise: a picture of noise. silent: sound without a single sound.
clipping: sound that is cut off by the range of its numbers. stamps: capture times that stop, run
backwards, or lie far from now. slow, fast: less than half, or more than one and a half times as
many samples as configured.
"""

from sensors.watchdog.watchdog import Watchdog

__all__ = ["Watchdog"]
