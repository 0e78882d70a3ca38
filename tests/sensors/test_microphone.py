"""The microphone on audio files, and on a virtual sound card that can be killed and frozen."""

from __future__ import annotations

import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.error import ConfigError, SensorLostError
from pipeline.sample import AudioChunk
from pipeline.stream import Microphone
from sensors.microphone import Hearing, TimedPcm, chunks
from sensors.portaudio import Block
from tests import parts
from tests.parts import VirtualMicrophone

STREAM = "microphone/room"
NOTICE_S = 3.0
MS = 1_000_000
RATE_HZ = 16_000


def opened(source: str | int | Path, counters: dict[str, int] | None = None, **keys: Any) -> Any:
    """The generator of a microphone, closed at the end of a `with`."""
    source = str(source) if isinstance(source, Path) else source
    sound: Any = chunks(Microphone(source=source, **keys), stream=STREAM, counters=counters)
    return closing(sound)


def all_chunks(source: Path, **keys: Any) -> list[AudioChunk]:
    with opened(source, **keys) as microphone:
        return [chunk for chunk in microphone if chunk is not None]


def joined(sound: list[AudioChunk]) -> npt.NDArray[np.int16]:
    return np.concatenate([chunk.pcm for chunk in sound])


def peak_hz(sound: list[AudioChunk]) -> float:
    wave = joined(sound)[:, 0].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum)) * sound[0].rate_hz / len(wave)


def continuity_errors_ms(sound: list[AudioChunk]) -> list[float]:
    return [abs(b.t_capture_ns - a.t_end_ns) / MS for a, b in pairwise(sound)]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_a_file_is_resampled_and_cut(tmp_path: Path, rate_hz: int) -> None:
    tone = parts.made_tone(tmp_path / "tone.wav", hz=440, seconds=1.25, rate_hz=rate_hz)
    played = all_chunks(tone)
    assert [len(chunk.pcm) for chunk in played] == [1600] * 12 + [800]
    assert [chunk.seq for chunk in played] == list(range(13))
    assert {chunk.rate_hz for chunk in played} == {RATE_HZ}
    assert peak_hz(played) == pytest.approx(440, abs=2)
    assert np.abs(joined(played)).max() == pytest.approx(16_384, rel=0.05)


def test_a_file_is_due_at_the_pace_of_its_sound(tmp_path: Path) -> None:
    tone = parts.made_tone(tmp_path / "tone.wav", hz=440, seconds=30)
    before_ns = time.monotonic_ns()
    played = all_chunks(tone)
    assert {b.t_capture_ns - a.t_capture_ns for a, b in pairwise(played)} == {100 * MS}
    assert all(chunk.t_publish_ns == chunk.t_end_ns for chunk in played)
    # The source ran ahead of the sound: it never sleeps.
    assert before_ns < played[0].t_publish_ns < time.monotonic_ns() + 110 * MS
    assert played[-1].t_publish_ns > time.monotonic_ns()


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_resampling_moves_no_sound_in_time(tmp_path: Path, rate_hz: int) -> None:
    import soundfile

    wave = np.zeros(2 * rate_hz, np.int16)
    wave[rate_hz // 2] = 30_000
    soundfile.write(tmp_path / "click.wav", wave, rate_hz)
    played = joined(all_chunks(tmp_path / "click.wav"))
    assert len(played) == 2 * RATE_HZ
    assert np.argmax(np.abs(played)) == pytest.approx(RATE_HZ // 2, abs=1)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_sample_values_survive(tmp_path: Path, suffix: str) -> None:
    import soundfile

    made = np.random.default_rng(0).integers(-20_000, 20_000, (4000, 2)).astype(np.int16)
    soundfile.write(tmp_path / f"noise.{suffix}", made, RATE_HZ)
    played = joined(all_chunks(tmp_path / f"noise.{suffix}"))
    assert played.shape == made.shape
    if suffix != "ogg":
        assert (played == made).all()


def test_a_float_file_is_scaled_and_clipped(tmp_path: Path) -> None:
    import soundfile

    wave = np.array([0.5, -1.0, 2.0, -2.0, np.nan] * 320, np.float32)
    soundfile.write(tmp_path / "float.wav", wave, RATE_HZ, subtype="FLOAT")
    played = joined(all_chunks(tmp_path / "float.wav"))
    assert played[:5, 0].tolist() == [16_384, -32_768, 32_767, -32_768, 0]


def test_speech_is_heard(tmp_path: Path) -> None:
    speech = parts.made_speech(tmp_path / "say.wav", "turn on the light")
    played = all_chunks(speech)
    assert np.sqrt(np.mean(joined(played).astype(np.float64) ** 2)) > 500


def test_a_loop_goes_on_in_time(tmp_path: Path) -> None:
    tone = parts.made_tone(tmp_path / "tone.wav", hz=500, seconds=0.25, rate_hz=44_100)
    with opened(tone, loop=True) as microphone:
        played = parts.take(microphone, 20)
    assert max(continuity_errors_ms(played)) == 0
    assert {len(chunk.pcm) for chunk in played} == {1600}


def test_a_chunk_refuses_writes(tmp_path: Path) -> None:
    chunk = all_chunks(parts.made_tone(tmp_path / "tone.wav", hz=440, seconds=0.2))[0]
    with pytest.raises(ValueError, match="read-only"):
        chunk.pcm[0] = 1


def test_what_can_never_be_played_is_a_configuration_error(tmp_path: Path) -> None:
    import soundfile

    noise, empty = tmp_path / "noise.wav", tmp_path / "empty.wav"
    noise.write_bytes(b"no sound at all")
    soundfile.write(empty, np.zeros((0, 1), np.int16), RATE_HZ)
    for source in (tmp_path / "missing.wav", tmp_path, noise, empty):
        with opened(source, loop=True) as microphone, pytest.raises(ConfigError, match=r"[^\n]$"):
            next(microphone)


class LiveHearing(Hearing):
    """Takes blocks now."""

    def hear(self, block: Block) -> list[TimedPcm]:
        return self.take(block, time.monotonic_ns())


@pytest.fixture
def hearing() -> tuple[LiveHearing, dict[str, int]]:
    counters = {"overflow": 0, "late": 0, "jumps": 0}
    device: Any = SimpleNamespace(rate_hz=RATE_HZ, n_channels=1)
    return LiveHearing(device, RATE_HZ, counters), counters


def block(captured_ns: int, *, overflow: bool = False) -> Block:
    return Block(np.zeros((320, 1), np.int16), captured_ns, overflow)


def test_blocks_that_come_too_late_are_dropped_and_counted(
    hearing: tuple[LiveHearing, dict[str, int]],
) -> None:
    take, counters = hearing[0].hear, hearing[1]
    start_ns = time.monotonic_ns() - 500 * MS
    assert take(block(start_ns)) == []
    for n in range(10):
        assert take(block(start_ns - 5000 * MS + n * 20 * MS)) == []
    made = [timed for n in range(5) for timed in take(block(start_ns + n * 20 * MS))]
    assert counters["late"] == 10
    # The sound from before the gap is in no chunk with that after it.
    assert [timed[0] for timed in made] == [start_ns]


def test_chunks_never_go_back_in_time(hearing: tuple[LiveHearing, dict[str, int]]) -> None:
    take, start_ns = hearing[0].hear, time.monotonic_ns() - 850 * MS
    times_ns = [start_ns + n * 20 * MS - (n > 20) * 130 * MS for n in range(40)]
    captured_ns = [timed[0] for t_ns in times_ns for timed in take(block(t_ns))]
    assert hearing[1]["jumps"] == 1
    assert len(captured_ns) == 8
    assert all(a < b for a, b in pairwise(captured_ns))


def test_lost_sound_is_counted(hearing: tuple[LiveHearing, dict[str, int]]) -> None:
    hearing[0].hear(block(time.monotonic_ns(), overflow=True))
    assert hearing[1]["overflow"] == 1


def test_a_tone_is_heard_continuously(room: VirtualMicrophone, pulse: Any, tmp_path: Path) -> None:
    tone = parts.made_tone(tmp_path / "tone.wav", hz=440, seconds=3)
    counters: dict[str, int] = {}
    with opened("pulse", counters) as microphone, room.playing(tone):
        heard = parts.take(microphone, 15)
        now_ns = time.monotonic_ns()
    assert peak_hz(heard[-8:]) == pytest.approx(440, abs=2)
    assert [len(chunk.pcm) for chunk in heard] == [1600] * 15
    assert heard[0].pcm.shape == (1600, 1)
    assert max(continuity_errors_ms(heard)) < 10
    assert all(0 <= chunk.t_publish_ns - chunk.t_end_ns < 500 * MS for chunk in heard[1:])
    assert 0 <= now_ns - heard[-1].t_publish_ns < 500 * MS
    assert counters["late"] == counters["jumps"] == 0


def test_another_rate_comes_from_the_same_card(
    room: VirtualMicrophone, pulse: Any, tmp_path: Path
) -> None:
    tone = parts.made_tone(tmp_path / "tone.wav", hz=440, seconds=3)
    with opened("pulse", sample_rate_hz=8000) as microphone, room.playing(tone):
        heard = parts.take(microphone, 15)
    assert {len(chunk.pcm) for chunk in heard} == {800}
    assert peak_hz(heard[-8:]) == pytest.approx(440, abs=2)


def test_a_killed_sound_server_is_noticed_and_a_new_one_is_heard(room: VirtualMicrophone) -> None:
    with room.daemon() as daemon, opened("pulse") as microphone:
        parts.take(microphone, 3)
        daemon.kill()
        assert parts.seconds_until_error(microphone, SensorLostError, "went away") < NOTICE_S
    for _ in range(2):  # each retry must read the list of devices anew
        with opened("pulse") as microphone, pytest.raises(SensorLostError):
            next(microphone)
    with room.daemon(), opened("pulse") as microphone:
        parts.take(microphone, 3)


def test_an_input_that_is_not_there_is_lost(pulse: Any) -> None:
    for source in ("No such microphone", 99, "99"):
        with opened(source) as microphone, pytest.raises(SensorLostError, match=r"^microphone .*"):
            next(microphone)


def test_a_consumer_that_was_away_hears_on(pulse: Any) -> None:
    """The consumer was away; the device was not. What is too old is counted, the rest is heard."""
    counters: dict[str, int] = {}
    with opened("pulse", counters) as microphone:
        parts.take(microphone, 2)
        asked_s = time.monotonic()
        parts.wait_until(lambda: time.monotonic() - asked_s > 2.0)
        fresh = parts.take(microphone, 12)
    assert counters["late"] > 0
    assert all(chunk.t_publish_ns - chunk.t_capture_ns < 1500 * MS for chunk in fresh)
