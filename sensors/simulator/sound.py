"""The home's microphones: background, speech, tones and crashes, as functions of absolute time."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.sample import AudioChunk, Int16Array, read_only
from sensors.simulator.ranges import draw
from sensors.simulator.scene import Home, Scene

Signal: TypeAlias = npt.NDArray[np.float32]
CHUNKS_A_SECOND = 10
LOOP = 1 << 16  # samples after which the noise repeats
CRASH_EVERY_S = 0.45  # one burst in each such slot, so at least one in any 0.9 s
SNR_DB = (2.0, 20.0)
LEVEL_DB = (-44.0, -26.0)  # of the background, against full scale


def chunks(home: Home, *, stream: str, rate_hz: int, start_ns: int) -> Iterator[AudioChunk]:
    """Endless chunks of 100 ms, int16 (n, 1), at multiples of 100 ms."""
    first = -(-start_ns * CHUNKS_A_SECOND // 1_000_000_000)
    noise = _noise(home.seed, stream)
    scape = None
    for seq, number in enumerate(itertools.count(first)):
        t_ns = number * 1_000_000_000 // CHUNKS_A_SECOND
        scene = home.scene_at(t_ns)
        if scape is None or scape.scene.index != scene.index:
            scape = Soundscape(scene, stream, noise)
        begin, end = (n * rate_hz // CHUNKS_A_SECOND for n in (number, number + 1))
        yield AudioChunk(
            stream=stream,
            seq=seq,
            t_capture_ns=t_ns,
            t_publish_ns=t_ns + 1_000_000_000 // CHUNKS_A_SECOND,
            pcm=read_only(scape.pcm(begin, end, rate_hz)),
            rate_hz=rate_hz,
        )


class Noise:
    """Two endless loops of noise, white and brown, each with an RMS of 1."""

    def __init__(self, seed: int, stream: str) -> None:
        rng = np.random.default_rng([seed, len(stream), *stream.encode()])
        self.white: Signal = rng.standard_normal(2 * LOOP, np.float32)
        spectrum = np.fft.rfft(self.white[:LOOP])
        spectrum[1:] /= np.maximum(np.arange(1, len(spectrum)), 40)  # flat below 10 Hz
        brown = np.fft.irfft(spectrum)
        self.brown: Signal = np.tile(brown / brown.std(), 2).astype(np.float32)
        self.white[LOOP:] = self.white[:LOOP]

    def cut(self, loop: Signal, begin: int, n: int) -> Signal:
        return loop[begin % LOOP :][:n]


@functools.lru_cache(maxsize=8)
def _noise(seed: int, stream: str) -> Noise:
    return Noise(seed, stream)


class Voice(Protocol):
    """What sounds in a scene besides the background, with an RMS of about 1."""

    def __call__(self, t_s: npt.NDArray[np.float64], begin: int) -> Signal: ...


class Soundscape:
    """What one microphone hears of one scene."""

    def __init__(self, scene: Scene, stream: str, noise: Noise) -> None:
        self.scene = scene
        self._noise = noise
        rng, place = scene.rng("sound"), scene.rng("microphone", stream)
        self._brown = draw(rng, scene.ranges.brown_share)
        self._hum_hz = draw(rng, scene.ranges.hum_hz)
        self._hum = float(rng.uniform(0.2, 1.0))
        self._voice = _voice(scene, rng, noise)
        self._level = float(10.0 ** (place.uniform(*LEVEL_DB) / 20.0))
        self._snr = float(10.0 ** (place.uniform(*SNR_DB) / 20.0))
        if self._voice is None:  # as loud as a scene with an event, or level would tell
            self._level *= float(10.0 ** (place.uniform(0.0, SNR_DB[1]) / 20.0))

    def pcm(self, begin: int, end: int, rate_hz: int) -> Int16Array:
        """Samples [begin, end) of the stream's clock: int16 (n, 1)."""
        t_s = np.arange(begin, end) / rate_hz - self.scene.start_ns / 1e9
        n = end - begin
        white = self._noise.cut(self._noise.white, begin, n)
        brown = self._noise.cut(self._noise.brown, begin, n)
        hum = np.sin(2.0 * np.pi * self._hum_hz * t_s).astype(np.float32)
        sound = (1.0 - self._brown) * white + self._brown * brown + self._hum * hum
        if self._voice is not None:
            sound = sound + self._snr * self._voice(t_s, begin)
        scaled = np.clip(sound * (self._level * 32767.0), -32768.0, 32767.0)
        return np.asarray(scaled[:, None], np.int16)


def _voice(scene: Scene, rng: np.random.Generator, noise: Noise) -> Voice | None:
    match scene.cue.sound:
        case "speech":
            return Speech(scene, rng, noise)
        case "tone":
            return Tone(scene, rng)
        case "crash":
            return Crash(scene, rng, noise)
        case _:
            return None


class Tone:
    """Beeps or chimes on one or two pitches, never silent for more than 0.6 s."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._period_s = draw(rng, scene.ranges.beep_period_s)
        low = draw(rng, scene.ranges.beep_hz)
        self._pitch_hz = np.array([low, low * rng.choice([1.0, 0.75, 0.8, 1.25])])
        self._on_s = self._period_s * rng.uniform(0.35, 0.85)
        self._decay_s = rng.uniform(0.08, 0.3) if rng.integers(2) else 10.0  # a chime, or a beep
        self._overtone = rng.uniform(0.0, 0.5)

    def __call__(self, t_s: npt.NDArray[np.float64], begin: int) -> Signal:
        number, since_s = np.divmod(t_s, self._period_s)
        phase = 2.0 * np.pi * self._pitch_hz[number.astype(np.int64) % 2] * since_s
        wave = np.sin(phase) + self._overtone * np.sin(2.0 * phase)
        edge = np.clip(np.minimum(since_s, self._on_s - since_s) / 0.005, 0.0, 1.0)
        return np.asarray(1.6 * wave * edge * np.exp(-since_s / self._decay_s), np.float32)


class Crash:
    """Bursts of noise with ringing modes: a fall with what it tears down, or glass."""

    def __init__(self, scene: Scene, rng: np.random.Generator, noise: Noise) -> None:
        self._noise = noise
        slots = np.arange(-1, int((scene.end_ns - scene.start_ns) / 1e9 / CRASH_EVERY_S) + 1)
        self._start_s = (slots + rng.uniform(0.0, 1.0, len(slots))) * CRASH_EVERY_S
        ranges = scene.ranges
        self._decay_s = np.array([draw(rng, ranges.decay_s) for _ in slots])
        self._modes_hz = np.array([[draw(rng, ranges.mode_hz) for _ in range(3)] for _ in slots])
        self._ring = rng.uniform(0.1, 0.7, len(slots))
        self._loud = rng.uniform(0.7, 1.6, len(slots)) * 2.5

    def __call__(self, t_s: npt.NDArray[np.float64], begin: int) -> Signal:
        total = np.zeros(len(t_s), np.float32)
        hiss = self._noise.cut(self._noise.white, begin + LOOP // 2, len(t_s))
        last_s = self._start_s + 7.0 * self._decay_s
        for i in np.flatnonzero((last_s > t_s[0]) & (self._start_s < t_s[-1])):
            since_s = t_s - self._start_s[i]
            fade = np.where(since_s >= 0.0, np.exp(-np.abs(since_s) / self._decay_s[i]), 0.0)
            ring = np.sin(2.0 * np.pi * self._modes_hz[i][:, None] * since_s).sum(axis=0)
            total += (self._loud[i] * fade * (hiss + self._ring[i] * ring)).astype(np.float32)
        return total


class Speech:
    """Syllables of a pulsed voice through moving formants, with short rests and hisses."""

    def __init__(self, scene: Scene, rng: np.random.Generator, noise: Noise) -> None:
        self._noise = noise
        ranges = scene.ranges
        self._pitch_hz = draw(rng, ranges.voice_hz)
        self._rate_hz = draw(rng, ranges.syllables_hz)
        self._glide = rng.uniform(0.02, 0.08, 2)
        n = int(self._rate_hz * (scene.end_ns - scene.start_ns) / 1e9) + 2
        self._harmonics = _harmonics(self._pitch_hz, draw(rng, ranges.formant_scale), rng, n)
        loud = rng.uniform(0.5, 1.3, n)
        rest = rng.random(n) < 0.2
        rest[1:] &= ~rest[:-1]  # never two rests in a row
        self._loud = np.where(rest, 0.0, loud)
        self._hiss = np.where(rng.random(n) < 0.4, rng.uniform(0.2, 0.8, n), 0.0)

    def __call__(self, t_s: npt.NDArray[np.float64], begin: int) -> Signal:
        place = np.maximum(t_s * self._rate_hz, 0.0)
        number = place.astype(np.int64)
        turn = self._pitch_hz * (t_s + self._wobble(t_s, 0.7, 0) + self._wobble(t_s, 1.9, 1))
        pulse = np.exp(2j * np.pi * turn).astype(np.complex64)
        rise = np.sin(np.pi * (place - number)).astype(np.float32)
        hiss = np.diff(self._noise.cut(self._noise.white, begin + LOOP // 2, len(t_s)), append=0.0)
        out = np.empty(len(t_s), np.float32)
        for syllable in range(number[0], number[-1] + 1):
            here = number == syllable
            vowel = _series(self._harmonics[syllable], pulse[here]) * rise[here]
            breath = self._hiss[syllable] * hiss[here] * (1.0 - rise[here])
            out[here] = self._loud[syllable] * (vowel + breath)
        return out

    def _wobble(
        self, t_s: npt.NDArray[np.float64], rate_hz: float, i: int
    ) -> npt.NDArray[np.float64]:
        """The integral of glide * sin(2 pi rate t): the pitch wanders, its phase never jumps."""
        angle = 2.0 * np.pi * rate_hz * t_s
        return np.asarray(self._glide[i] * (1.0 - np.cos(angle)) / (2.0 * np.pi * rate_hz))


def _harmonics(
    pitch_hz: float, scale: float, rng: np.random.Generator, n: int
) -> npt.NDArray[np.float32]:
    """Amplitudes of the harmonics below 3.6 kHz in n syllables, (n, harmonics), RMS 1."""
    hz = pitch_hz * np.arange(1, int(3600.0 / pitch_hz) + 1)
    centres = scale * rng.uniform((280, 900, 2300), (800, 2200, 3000), (n, 3))[:, :, None]
    peaks = np.array([1.0, 0.6, 0.3])[:, None] / (1.0 + ((hz - centres) / 110.0) ** 2)
    amplitudes = peaks.sum(axis=1) + 0.02
    rms = np.sqrt((amplitudes**2).sum(axis=1, keepdims=True) / 2.0)
    return np.asarray(1.3 * amplitudes / rms, np.float32)


def _series(amplitudes: npt.NDArray[np.float32], pulse: npt.NDArray[np.complex64]) -> Signal:
    """The sum of amplitudes[h] * sin((h + 1) * angle) by Horner's rule; pulse = exp(i angle)."""
    total = np.zeros(len(pulse), np.complex64)
    for amplitude in amplitudes[::-1]:
        total = (total + amplitude) * pulse
    return np.asarray(total.imag, np.float32)
