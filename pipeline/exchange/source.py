"""Which importer reads a source: by what it is, then by the end of its name."""

from __future__ import annotations

from pathlib import Path

from pipeline.exchange.bag import open_bag
from pipeline.exchange.film import FILM_SUFFIXES, SOUND_SUFFIXES, open_film
from pipeline.exchange.gallery import open_gallery
from pipeline.exchange.incoming import ExchangeError, Incoming, Options
from pipeline.exchange.jsonl import open_lines
from pipeline.exchange.manifest import FILE_NAME, open_manifest

BAG_SUFFIXES = (".bag", ".db3", ".mcap")
LINE_SUFFIXES = (".jsonl", ".ndjson")
BAG_FILE = "metadata.yaml"


def open_source(path: Path, options: Options) -> Incoming:
    """The streams of a source. Raises ExchangeError."""
    if path.is_dir():
        return _open_folder(path, options)
    if not path.is_file():
        raise ExchangeError(f"{path}: there is no such file or folder")
    suffix = path.suffix.lower()
    if suffix in BAG_SUFFIXES:
        return open_bag(path, options)
    if suffix in LINE_SUFFIXES:
        return open_lines(path, options)
    if suffix == ".csv":
        return open_manifest(path, options)
    if suffix in FILM_SUFFIXES + SOUND_SUFFIXES:
        return open_film(path, options)
    known = (*FILM_SUFFIXES, *SOUND_SUFFIXES, *BAG_SUFFIXES, *LINE_SUFFIXES)
    raise ExchangeError(f"{path}: is of no known kind: {' '.join(known)}, or a folder")


def _open_folder(path: Path, options: Options) -> Incoming:
    if (path / BAG_FILE).is_file():
        return open_bag(path, options)
    if (path / FILE_NAME).is_file():
        return open_manifest(path / FILE_NAME, options)
    return open_gallery(path, options)
