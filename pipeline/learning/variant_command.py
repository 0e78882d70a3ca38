"""`sensorium export BUNDLE --precision fp16|int8 LOG...`."""

from __future__ import annotations

import argparse
import sys

from engines.bundle import load_bundle
from pipeline.command.answer import print_json
from pipeline.evaluation.head import label_sets
from pipeline.learning.cache import fetch
from pipeline.learning.error import LearningError
from pipeline.learning.piece import task_of
from pipeline.learning.source import Wanted, config_of, sources_of
from pipeline.learning.variant import make_variant
from pipeline.learning.window_folder import Windows


def export_variant(arguments: argparse.Namespace) -> int:
    """Make a variant and say how right it is. Raises SensoriumError, EngineError."""
    if not arguments.logs or arguments.out:
        raise LearningError("a variant lies in its bundle, and is judged by logs: name one or more")
    bundle = load_bundle(str(arguments.file))
    config = config_of(arguments.logs, arguments.config, [])
    wanted = Wanted(encoders=bundle.manifest.encoders, labels=label_sets(bundle.manifest))
    sources, notes = sources_of(arguments.logs, config, wanted)
    for note in notes:
        sys.stderr.write(f"{note}\n")
    folders = fetch([task_of(source) for source in sources])
    windows = Windows(folder for found in folders for folder in found)
    verdict = make_variant(bundle, arguments.precision, windows)
    if arguments.json:
        return print_json({"precision": arguments.precision, **verdict._asdict()})
    sys.stdout.write(
        f"{arguments.precision}: {verdict.after:.4f} (fp32 {verdict.before:.4f});"
        f" graphs: {', '.join(verdict.roles)}; a run takes it with"
        f' fusion.precision = "{arguments.precision}"\n'
    )
    for role, why in verdict.why.items():
        sys.stdout.write(f"{role} stays fp32: {why}\n")
    return 0
