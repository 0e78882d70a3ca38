"""A plan of faults as a TOML file: the run's configuration, the faults, and what is asked of it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from pipeline.config import Config
from pipeline.error import ConfigError
from pipeline.loader import check, load
from pipeline.stream import kind_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NODE, RECORDER = "node", "recorder"
ANY = ("camera", "microphone", "text", "readings")
# What each kind of fault may befall: kinds of streams, or processes of the run.
APPLIES: Mapping[str, tuple[str, ...]] = {
    "unplug": ANY,
    "freeze": ("camera", "microphone"),  # a thermometer may well stand still
    "black": ("camera",),
    "silence": ("microphone",),
    "noise": ("camera", "microphone"),
    "clock_step": ANY,
    "reorder": ANY,
    "duplicate": ANY,
    "corrupt": ANY,
    "slow_consumer": ("camera",),  # a queue of small messages takes minutes to overflow
    "kill": (*ANY, RECORDER, NODE),
    "full_disk": (RECORDER,),
    "network_cut": ANY,
}
Seconds: TypeAlias = Annotated[float, Meta(ge=0)]


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault, from `at_s` after the run is complete, for `for_s`.

    `stream` may also be a process: recorder or node. `step_s` is for clock_step.
    """

    kind: str
    stream: str
    at_s: Seconds
    for_s: Seconds = 0.0
    step_s: float = -60.0

    @property
    def end_s(self) -> float:
        return self.at_s + self.for_s


class Bounds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold for every fault; `link_detect_s` is that of network_cut."""

    detect_s: Seconds = 3.0
    link_detect_s: Seconds = 1.5
    recover_s: Seconds = 5.0
    gap_periods: Seconds = 2.0  # the longest time between two predictions, in periods of the tick


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file as it stands: `config` is a path or a table, `log` is replayed in its place."""

    fault: list[Fault]
    config: str | dict[str, Any] = ""
    log: str = ""
    bounds: Bounds = Bounds()

    @property
    def length_s(self) -> float:
        """When the last fault is over."""
        return max(fault.end_s for fault in self.fault)


def load_plan(path: Path) -> tuple[Plan, Config]:
    """A checked plan and the configuration of its run. Raises ConfigError, LogError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        plan = msgspec.convert(table, Plan)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    if plan.log:
        plan = msgspec.structs.replace(plan, log=str((path.parent / plan.log).absolute()))
    config = _config(plan, path)
    if not plan.fault:
        raise ConfigError(f"{path}: no fault; add a table [[fault]]")
    for number, fault in enumerate(plan.fault):
        _check_fault(fault, config, f"{path}: fault {number + 1}")
    _check_overlaps(plan, path)
    return plan, config


def _config(plan: Plan, path: Path) -> Config:
    if isinstance(plan.config, dict):
        return check(plan.config, f"{path}: config")
    if plan.config:
        return load(path.parent / plan.config)
    if not plan.log:
        raise ConfigError(f"{path}: no run; set `config` to a path or a table, or `log` to a log")
    from pipeline.log.reader import LogReader
    from pipeline.replay.settings import replay_config

    with LogReader(Path(plan.log)) as log:
        return replay_config(log, None, {}, [])


def _check_fault(fault: Fault, config: Config, place: str) -> None:
    if fault.kind not in APPLIES:
        kind = difflib.get_close_matches(fault.kind, APPLIES, n=1, cutoff=0.0)[0]
        raise ConfigError(f"{place}: kind: no fault `{fault.kind}`; did you mean `{kind}`?")
    if (fault.kind == "kill") != (fault.for_s == 0):
        raise ConfigError(f"{place}: for_s: how long it lasts; only a kill is a moment")
    applies = APPLIES[fault.kind]
    if fault.stream in (NODE, RECORDER):
        if fault.stream not in applies:
            raise ConfigError(f"{place}: {fault.kind} is for {', '.join(applies)}")
        return
    if fault.stream not in config.sensors:
        near = difflib.get_close_matches(fault.stream, config.sensors, n=1, cutoff=0.0)
        meant = f"; did you mean `{near[0]}`?" if near else ": the run starts none"
        raise ConfigError(f"{place}: stream: no sensor `{fault.stream}`{meant}")
    if kind_of(fault.stream) not in applies:
        raise ConfigError(f"{place}: {fault.kind} is for {', '.join(applies)}")


def _check_overlaps(plan: Plan, path: Path) -> None:
    """One fault at a time on a stream; one behind a cable has none of its own but the cut."""
    cut = {fault.stream for fault in plan.fault if fault.kind == "network_cut"}
    until_s: dict[str, float] = {}
    for fault in sorted(plan.fault, key=lambda fault: fault.at_s):
        if fault.stream in cut and fault.kind != "network_cut":
            raise ConfigError(f"{path}: {fault.stream} has a network_cut, and so no other fault")
        if fault.at_s < until_s.get(fault.stream, 0.0):
            raise ConfigError(f"{path}: two faults on {fault.stream} at {fault.at_s:g} s")
        until_s[fault.stream] = fault.end_s
