"""systemd units: a run as a service of the system or of a user. Nothing is started here."""

from __future__ import annotations

import argparse
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import NAME, Config
from pipeline.error import ConfigError
from pipeline.loader import load

TEMPLATES = Path(__file__).parent / "systemd"
MADE_BY = "# Made by `sensorium install-service"
SYSTEM = Path("/etc/systemd/system")
STATE = Path("/var/lib")
# Where a unit of the system has its sockets; `sensorium status --run-dir` takes it.
RUNTIME = Path("/run/sensorium")


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: where its file belongs, and what is in it."""

    path: Path
    text: str
    name: str
    is_user: bool

    @property
    def next_steps(self) -> str:
        """What its owner does now."""
        sudo, option = ("", " --user") if self.is_user else ("sudo ", "")
        where = f"--run {self.name}" if self.is_user else f"--run-dir {RUNTIME / self.name}"
        return (
            f"{sudo}systemctl{option} daemon-reload\n"
            f"{sudo}systemctl{option} enable --now {self.path.stem}\n"
            f"{sudo}{command()} status {where}\n"
        )


def unit(path: Path, *, name: str = "", is_user: bool = False) -> Unit:
    """The unit that runs the configuration at `path`. Raises ConfigError."""
    path = path.absolute()
    config = load(path)
    name = name or config.name
    if not re.match(NAME, name):
        raise ConfigError(f"--name {name}: up to 64 letters, digits, - and _")
    words = [command(), "run", str(path)]
    words += ["--set", f"name={name}"] if name != config.name else []
    if not is_user:
        _check_writes(config, name)
        words += ["--set", f"run_dir={RUNTIME / name}"]
    text = (TEMPLATES / ("user.service" if is_user else "system.service")).read_text("utf-8")
    text = text.replace("@STATE@", " ".join(_state_folders(config, name)))
    text = text.replace("@NAME@", name).replace("@COMMAND@", " ".join(map(_quoted, words)))
    folder = _user_folder() if is_user else SYSTEM
    return Unit(folder / f"sensorium-{name}.service", text, name, is_user)


def install_service(arguments: argparse.Namespace) -> int:
    """The command: write the unit, or show it. Raises ConfigError."""
    made = unit(arguments.config, name=arguments.name, is_user=arguments.user)
    if arguments.print:
        sys.stdout.write(made.text)
        return 0
    if not made.is_user:
        for path in (arguments.config, Path(command()), Path(sys.executable).resolve()):
            check_readable(path.absolute())
    install(made)
    sys.stdout.write(f"wrote {made.path}; nothing was started. Next:\n{made.next_steps}")
    return 0


def install(made: Unit) -> None:
    """Write the unit's file, in the place of one that was made so. Raises ConfigError."""
    try:
        if made.path.exists() and not made.path.read_text("utf-8").startswith(MADE_BY):
            raise ConfigError(f"{made.path}: is not ours; remove it, or take another --name")
        made.path.parent.mkdir(parents=True, exist_ok=True)
        made.path.write_text(made.text, "utf-8")
    except PermissionError as error:
        raise ConfigError(
            f"{made.path}: only root may write there; run it with sudo, or take --user or --print"
        ) from error
    except OSError as error:
        raise ConfigError(f"{made.path}: cannot be written: {error.strerror}") from error


def command() -> str:
    """The `sensorium` that stands beside this Python."""
    return str(Path(sys.executable).parent / "sensorium")


def check_readable(path: Path) -> None:
    """Raise ConfigError unless every user can read `path`: the service has a user of its own."""
    if not path.exists():
        raise ConfigError(f"{path}: is missing; install the package in a virtual environment")
    for level in (path, *path.parents):
        if not level.stat().st_mode & (0o001 if level.is_dir() else 0o004):
            raise ConfigError(
                f"{path}: {level} is closed to other users, and the service has a user of its own;"
                " put it into /etc/sensorium or /opt, open the way to it, or take --user"
            )


def _outputs(config: Config) -> dict[str, str]:
    """{key: path} of what a run writes; "-" is stdout, which goes into the journal."""
    outputs = {
        "out.jsonl": "" if config.out.jsonl == "-" else config.out.jsonl,
        "record.file": config.record.file,
        "incident.directory": config.incident.directory,
    }
    return {key: value for key, value in outputs.items() if value}


def _state_folders(config: Config, name: str) -> list[str]:
    """The folders that systemd makes, below the one for state: where files are written."""
    state = STATE / f"sensorium-{name}"
    found = {state}
    for key, value in _outputs(config).items():
        path = Path(os.path.normpath(state / value))
        found.add(path if key == "incident.directory" else path.parent)
    return [
        str(path.relative_to(STATE)) for path in sorted(found) if state in (path, *path.parents)
    ]


def _check_writes(config: Config, name: str) -> None:
    """Raise ConfigError where an output lies outside of what the service may write."""
    state = STATE / f"sensorium-{name}"
    for key, value in _outputs(config).items():
        if state not in Path(os.path.normpath(state / value)).parents:
            raise ConfigError(f"{key}: {value}: a service writes below {state} only; name it so")


def _user_folder() -> Path:
    root = os.environ.get("XDG_CONFIG_HOME")
    return (Path(root) if root else Path.home() / ".config") / "systemd" / "user"


def _quoted(word: str) -> str:
    """A word of a command line as systemd reads it: systemd.service(5), systemd.unit(5)."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
