"""The CURVE key pair of this host's user: one private file that holds the secret key alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from pipeline.error import ConfigError

KEY_BYTES = 40  # 32 bytes as Z85 text, which is the form that ZeroMQ takes and gives


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Both keys as Z85 text; the secret one is never shown."""

    public: bytes
    secret: bytes = field(repr=False)


def key_path() -> Path:
    """Where the key is: under XDG_CONFIG_HOME, else ~/.config."""
    root = os.environ.get("XDG_CONFIG_HOME")
    return (Path(root) if root else Path.home() / ".config") / "sensorium" / "key"


def make_key() -> bool:
    """Make the key file, unless there is one; whether it was made. Raises ConfigError."""
    path = key_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(zmq.curve_keypair()[1] + b"\n")
    return True


def read_key() -> KeyPair:
    """The key pair of this user. Raises ConfigError if it is missing, open to others, or no key."""
    path = key_path()
    try:
        status, content = path.stat(), path.read_bytes().strip()
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no key; make one with `sensorium keys`") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if status.st_mode & 0o077:
        raise ConfigError(f"{path}: others may read this key; run `chmod 600 {path}`")
    try:
        return KeyPair(zmq.curve_public(content), content)
    except (ValueError, zmq.ZMQError) as error:
        raise ConfigError(f"{path}: holds no key; remove it and run `sensorium keys`") from error
