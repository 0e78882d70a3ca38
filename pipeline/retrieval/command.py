"""`sensorium index`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_arguments(commands: Any) -> None:
    """Add `index`."""
    text = "make what a bundle that retrieves compares with, from the windows of logs"
    made = commands.add_parser("index", help=text, description=text)
    made.set_defaults(command="index")
    made.add_argument("bundle", help="a shipped bundle or a folder")
    made.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="a log")
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="as past.npz")
    made.add_argument("--head", default="", metavar="NAME", help="if several heads retrieve")
    made.add_argument("--labels", default="truth", metavar="SET", help="what the windows are")
    made.add_argument("--every", type=float, default=1.0, metavar="S", help="a window so often")
    made.add_argument("--config", type=Path, metavar="FILE", help="in place of the log's own")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override")


def index(arguments: argparse.Namespace) -> int:
    """Run `sensorium index`. Raises SensoriumError, EngineError."""
    from engines.bundle import load_bundle
    from engines.compiled import CompiledBundle
    from engines.index import retrieve_head, write_index
    from pipeline.retrieval.past import Past

    model = CompiledBundle(load_bundle(arguments.bundle), "onnxruntime")
    head = retrieve_head(model.manifest, arguments.head)
    overrides = [*arguments.set, f"fusion.bundle={arguments.bundle}"]
    past = Past(model, head, arguments.labels, round(arguments.every * 1e9))
    for log in arguments.logs:
        past.add(log, arguments.config, overrides, name_log=len(arguments.logs) > 1)
    found = past.index()
    write_index(arguments.out, found)
    sys.stdout.write(f"{arguments.out}: {len(found.names)} windows for head {head}\n")
    return 0
