"""The CPU and what it runs engines with, its clocks, its governor, a Jetson's power mode."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from deploy.doctor.finding import Finding, absent, ok, output_of, text_of, wrong
from engines.error import EngineError

GOVERNORS = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
TEGRA = Path("/etc/nv_tegra_release")
MODEL = Path("/proc/device-tree/model")
SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies")


def machine_findings() -> Iterator[Finding]:
    """All that is of the CPU and the board."""
    yield _onnxruntime()
    yield _openvino()
    yield _governor()
    yield _clock()
    yield _wall_clock()
    yield from _jetson()


def _onnxruntime() -> Finding:
    import onnxruntime

    providers = ", ".join(onnxruntime.get_available_providers())
    return ok("onnxruntime", f"{onnxruntime.__version__}: {providers}")


def _openvino() -> Finding:
    from engines import openvino_engine

    try:
        bf16 = openvino_engine.has_bf16(openvino_engine.openvino_core())
        found = version("openvino")
    except EngineError as error:
        said, _, todo = str(error).removeprefix("backend 'openvino': ").partition("; ")
        return absent("openvino", said, todo)
    return ok("openvino", f"{found}: {'bf16 and fp32' if bf16 else 'fp32; this CPU has no bf16'}")


def _governor() -> Finding:
    found = {text_of(path) for path in Path("/").glob(GOVERNORS[1:])} - {""}
    if not found:
        return absent("CPU governor", "this kernel tells none, as in a virtual machine")
    said = ", ".join(sorted(found))
    if found == {"performance"}:
        return ok("CPU governor", said)
    todo = "sudo cpupower frequency-set -g performance: fewer late ticks, more power"
    return wrong("CPU governor", f"{said}: the clock rises only after a load has come", todo)


def _clock() -> Finding:
    source = text_of(CLOCK_SOURCE) or "unknown"
    resolution_ns = time.get_clock_info("monotonic").resolution * 1e9
    said = f"{source}, monotonic to {resolution_ns:.0f} ns"
    if source in SLOW_CLOCKS:
        return wrong("clock", f"{said}: reading it is slow", "boot with clocksource=tsc")
    return ok("clock", said)


def _wall_clock() -> Finding:
    said = output_of(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if said == "yes":
        return ok("wall clock", "synchronised")
    if said == "no":
        todo = "sudo timedatectl set-ntp true: logs of several hosts need it"
        return wrong("wall clock", "not synchronised", todo)
    return absent("wall clock", "timedatectl does not tell whether it is synchronised")


def _jetson() -> Iterator[Finding]:
    """Only on a Jetson."""
    release = text_of(TEGRA)
    if not release:
        return
    found = re.search(r"R(\d+).*REVISION: ([\d.]+)", release)
    linux = f"L4T {found[1]}.{found[2]}" if found else release.splitlines()[0]
    yield ok("Jetson", f"{text_of(MODEL) or 'unknown model'}, {linux}")
    yield power_mode(output_of(["nvpmodel", "-q"]))


def power_mode(said: str | None) -> Finding:
    """From what `nvpmodel -q` prints: the name of the mode, then its number."""
    what, todo = "power mode", "sudo nvpmodel -m 0 && sudo jetson_clocks"
    if said is None:
        return absent(what, "nvpmodel does not tell", "run `sensorium doctor` with sudo")
    name = re.search(r"NV Power Mode: *(\S+)", said)
    number = re.search(r"^(\d+)$", said, re.MULTILINE)
    text = f"{name[1] if name else '?'} (mode {number[1] if number else '?'})"
    if (number and number[1] == "0") or (name and name[1].startswith("MAXN")):
        return ok(what, text)
    return wrong(what, f"{text} is not the fastest", f"{todo}; it draws more power")
