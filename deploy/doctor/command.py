"""`sensorium doctor`: what of a machine is there, what is missing, and what to type."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import msgspec

from deploy.doctor.device import device_findings
from deploy.doctor.finding import Finding
from deploy.doctor.gpu import gpu_findings
from deploy.doctor.machine import machine_findings
from deploy.doctor.need import needs, unmet
from pipeline.loader import load

EXIT_UNMET = 1
MARKS = {"ok": "ok", "absent": "-", "wrong": "!"}


def doctor(arguments: argparse.Namespace) -> int:
    """Look at everything. Exit code 1 where the configuration needs what is not fine."""
    config = load(arguments.config, ()) if arguments.config else None
    cache = getattr(config.fusion, "engine_cache", "") if config else ""
    findings = [*machine_findings(), *gpu_findings(cache), *device_findings()]
    failing = unmet(findings, needs(config)) if config else {}
    if arguments.json:
        result = {"findings": findings, "unmet": failing}
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        sys.stdout.write(text(findings, failing))
    return EXIT_UNMET if failing else 0


def text(findings: Sequence[Finding], failing: Mapping[str, str]) -> str:
    """A line for each finding; below it what to type, if there is something to do."""
    lines = []
    for finding in findings:
        mark = "!!" if finding.what in failing else MARKS[finding.state]
        lines.append(f"{mark:3}{finding.what:18}{finding.said}")
        if finding.state != "ok" and finding.todo:
            lines.append(f"{'':21}{finding.todo}")
    lines += [f"missing for {who}: {what}" for what, who in failing.items()]
    return "\n".join(lines) + "\n"
