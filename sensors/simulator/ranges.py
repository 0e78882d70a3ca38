"""What the simulated home may look and sound like: one table, training beside evaluation.

No span, template or word of UNSEEN occurs in TRAIN, so that a score on UNSEEN says how a model
does in a home that it never met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sensors.simulator.sight_wording import TRAIN_SIGHTS, UNSEEN_SIGHTS, Sights
from sensors.simulator.wording import TRAIN_WORDING, UNSEEN_WORDING, Wording

Spans: TypeAlias = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Spans to draw from. Lengths without a unit are fractions of the picture."""

    # layout of the room, and where the camera hangs
    horizon: Spans
    sofa_x: Spans
    table_x: Spans
    window_x: Spans
    clutter_x: Spans
    zoom: Spans
    # palette and light
    hue: Spans  # OpenCV degrees, 0 to 180
    saturation: Spans
    light: Spans
    haze: Spans
    # bodies
    height: Spans
    girth: Spans
    # sound
    voice_hz: Spans
    formant_scale: Spans
    syllables_hz: Spans
    beep_hz: Spans
    beep_period_s: Spans
    mode_hz: Spans
    decay_s: Spans
    brown_share: Spans  # of the background noise; the rest is white
    hum_hz: Spans
    wording: Wording
    sights: Sights


TRAIN = Ranges(
    horizon=((0.46, 0.53), (0.58, 0.65)),
    sofa_x=((0.02, 0.18), (0.30, 0.46)),
    table_x=((0.05, 0.25), (0.45, 0.62)),
    window_x=((0.05, 0.20), (0.40, 0.60)),
    clutter_x=((0.02, 0.16), (0.30, 0.48), (0.66, 0.80)),
    zoom=((0.85, 0.95), (1.05, 1.15)),
    hue=((0.0, 14.0), (24.0, 42.0), (54.0, 78.0), (92.0, 116.0), (128.0, 150.0), (162.0, 179.0)),
    saturation=((10.0, 50.0), (75.0, 120.0), (150.0, 180.0)),
    light=((0.50, 0.70), (0.85, 1.05)),
    haze=((0.38, 0.50), (0.58, 0.75)),
    height=((0.40, 0.47), (0.53, 0.62)),
    girth=((0.20, 0.25), (0.30, 0.36)),
    voice_hz=((85.0, 122.0), (150.0, 182.0), (216.0, 260.0)),
    formant_scale=((0.84, 0.95), (1.05, 1.20)),
    syllables_hz=((2.8, 3.7), (4.3, 5.4)),
    beep_hz=((520.0, 800.0), (1000.0, 1500.0), (2000.0, 2700.0), (3200.0, 3800.0)),
    beep_period_s=((0.24, 0.36), (0.46, 0.66)),
    mode_hz=((300.0, 900.0), (1400.0, 2600.0), (3600.0, 5200.0)),
    decay_s=((0.030, 0.055), (0.080, 0.14)),
    brown_share=((0.25, 0.45), (0.60, 0.85)),
    hum_hz=((90.0, 110.0), (140.0, 170.0)),
    wording=TRAIN_WORDING,
    sights=TRAIN_SIGHTS,
)

UNSEEN = Ranges(
    horizon=((0.54, 0.57), (0.66, 0.69)),
    sofa_x=((0.19, 0.29), (0.47, 0.54)),
    table_x=((0.26, 0.44), (0.63, 0.68)),
    window_x=((0.21, 0.39), (0.61, 0.66)),
    clutter_x=((0.17, 0.29), (0.50, 0.65)),
    zoom=((0.96, 1.04), (1.16, 1.20)),
    hue=((15.0, 23.0), (43.0, 53.0), (79.0, 91.0), (117.0, 127.0), (151.0, 161.0)),
    saturation=((51.0, 74.0), (121.0, 149.0)),
    light=((0.71, 0.84), (1.06, 1.15)),
    haze=((0.51, 0.57), (0.76, 0.80)),
    height=((0.48, 0.52), (0.63, 0.66)),
    girth=((0.26, 0.29), (0.37, 0.39)),
    voice_hz=((124.0, 148.0), (184.0, 214.0)),
    formant_scale=((0.96, 1.04), (1.21, 1.26)),
    syllables_hz=((3.8, 4.2), (5.5, 5.8)),
    beep_hz=((810.0, 990.0), (1520.0, 1980.0), (2720.0, 3180.0)),
    beep_period_s=((0.37, 0.45), (0.67, 0.72)),
    mode_hz=((920.0, 1380.0), (2650.0, 3550.0)),
    decay_s=((0.056, 0.079), (0.141, 0.17)),
    brown_share=((0.46, 0.59), (0.86, 0.92)),
    hum_hz=((111.0, 139.0), (171.0, 185.0)),
    wording=UNSEEN_WORDING,
    sights=UNSEEN_SIGHTS,
)


def draw(rng: np.random.Generator, spans: Spans) -> float:
    """One value, uniform over the union of the spans."""
    lengths = np.array([high - low for low, high in spans])
    low, high = spans[rng.choice(len(spans), p=lengths / lengths.sum())]
    return float(rng.uniform(low, high))
