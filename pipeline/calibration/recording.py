"""Pictures and sound for a calibration out of a file: a log, or a film."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.calibration.delay import CalibrationError
from pipeline.log.reader import LogReader
from pipeline.sample import Sample

LOG_SUFFIX = ".mcap"


class Recording:
    """A file that stands for a camera and a microphone of a configuration.

    Its streams are those of the same names, else the only ones of their kinds. `offsets_ms` are
    those that its capture times were already corrected by.
    """

    def __init__(self, path: Path, streams: Sequence[str]) -> None:
        """Raises LogError, CalibrationError."""
        self._path, self._streams = path, list(streams)
        self.offsets_ms = dict.fromkeys(streams, 0.0)
        self._is_log = path.suffix == LOG_SUFFIX
        if not self._is_log:
            return
        with LogReader(path) as log:
            self._streams = [_name_in(path, log.streams, stream) for stream in streams]
            lines = log.config.streams if log.config else {}
        for stream, name in zip(streams, self._streams, strict=True):
            if name in lines:
                self.offsets_ms[stream] = lines[name].offset_ms

    def samples(self) -> Iterator[Sample]:
        """Each stream in its order. Raises LogError, ExchangeError."""
        if self._is_log:
            with LogReader(self._path) as log:
                yield from log.samples(self._streams)
            return
        from pipeline.exchange.incoming import Options
        from pipeline.exchange.source import open_source

        for stream in open_source(self._path, Options()).streams:
            yield from stream


def _name_in(path: Path, names: Iterable[str], stream: str) -> str:
    kind = stream.partition("/")[0]
    of_kind = [name for name in names if name.startswith(f"{kind}/")]
    if stream in of_kind:
        return stream
    if len(of_kind) != 1:
        raise CalibrationError(f"{path}: holds no {stream}, but {len(of_kind)} of its kind")
    return of_kind[0]
