"""`sensorium label`: set, list, merge and split."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.quantity import number, seconds

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.label.truth import Truths
    from pipeline.log.reader import LogReader
    from pipeline.prediction import Prediction

# The windows of all encoders are shorter; a stream's maximum age comes on top of it.
LONGEST_WINDOW_S = 5.0
MAX_AGE_S = 10.0  # of a log without a configuration
BLOCKS = 60  # that a log is cut into, if the guard gaps allow it
PARTS = "train=0.7,val=0.15,test=0.15"

TruthOf: TypeAlias = "Callable[[Config], Truths]"
Found: TypeAlias = "tuple[int, int, str, float]"  # start_ns, end_ns, label, score
Shown: TypeAlias = "tuple[dict[str, Any], str]"  # for scripts, and for people


def add_arguments(commands: Any) -> None:
    """Add `label` with its own commands."""
    text = "set, list, merge or split the labels of a log"
    made = commands.add_parser("label", help=text, description=text)
    made.set_defaults(command="label")
    actions = made.add_subparsers(required=True, dest="action", metavar="ACTION")
    setting = _add(actions, "set", "set the labels of one set, in the file beside the log")
    origin = setting.add_mutually_exclusive_group(required=True)
    origin.add_argument("--csv", type=Path, metavar="TABLE", help="start_s,end_s,label")
    origin.add_argument(
        "--truth", action="store_true", help="of the simulated home: all that is known of it"
    )
    origin.add_argument("--predictions", action="store_true", help="sure ones, for review")
    setting.add_argument(
        "--above",
        type=number("score from 0 to 1", 0, 1),
        default=0.9,
        help="least score (default 0.9)",
    )
    setting.add_argument("--name", type=_name, help="of the one set (default: truth, or predicted)")
    _add(actions, "list", "show the sets of labels and how long each label lasts")
    merging = _add(actions, "merge", "write a new log that holds the labels from beside this one")
    merging.add_argument("-o", "--out", type=Path, required=True, metavar="NEW")
    splitting = _add(actions, "split", "split into parts that share no sample, in whole blocks")
    splitting.add_argument("--parts", type=_parts, default=PARTS, help=f"default {PARTS}")
    splitting.add_argument("--block-s", type=seconds, help="length of a block of time")
    splitting.add_argument("--guard-s", type=seconds, help="gap between blocks of two parts")
    splitting.add_argument("--seed", type=int, default=1)
    splitting.add_argument("--name", type=_name, default="truth", help="of the set to balance")


def label(arguments: argparse.Namespace, truth_of: TruthOf) -> int:
    """Run `sensorium label`; `truth_of` gives the truth of a simulated home.

    Raises SensoriumError.
    """
    import msgspec

    actions = {"set": _set, "list": _list, "merge": _merge, "split": _split}
    found, shown = actions[arguments.action](arguments, truth_of)
    sys.stdout.write((msgspec.json.encode(found).decode() if arguments.json else shown) + "\n")
    return 0


def _set(arguments: argparse.Namespace, truth_of: TruthOf) -> Shown:
    from pipeline.exchange.beginning import beginning_ns
    from pipeline.label import predicted, store, table
    from pipeline.log.reader import LogReader

    source = predicted.SOURCE if arguments.predictions else "truth"
    name = arguments.name or source
    found: Mapping[str, Iterable[Found]]
    with LogReader(arguments.file) as log:
        if arguments.csv:
            found = {name: table.read_table(arguments.csv, beginning_ns(log))}
        elif arguments.truth:
            known = _true(log, truth_of)
            found = {name: known["truth"]} if arguments.name else known
        else:
            found = {name: predicted.intervals(_predictions(log), arguments.above)}
        made = {key: store.make_set(key, x, source) for key, x in found.items()}
    sets = {f"{store.KIND}/{key}": labels for key, labels in made.items()}
    path = store.write_beside(arguments.file, {**store.read_beside(arguments.file), **sets})
    result = {"file": str(path), "set": name, "labels": len(made[name]), "sets": list(made)}
    others = ", ".join(key for key in made if key != name)
    shown = f"{path}: {len(made[name])} labels in the set {name!r}"
    return result, f"{shown}; also {others}" if others else shown


def _true(log: LogReader, truth_of: TruthOf) -> Mapping[str, Iterable[Found]]:
    """The intervals of the truth behind a recorded simulation."""
    from pipeline.label.store import LabelError
    from pipeline.label.truth import sets_of

    config = log.config
    if config is None or "simulator" not in {line.source for line in config.streams.values()}:
        raise LabelError("only a log of the simulated home knows its truth: use --csv")
    return {"truth": [], **sets_of(truth_of(config), *_span(log))}


def _predictions(log: LogReader) -> Iterator[Prediction]:
    from pipeline.label.store import LabelError
    from pipeline.log.schema import PREDICTION
    from pipeline.prediction import Prediction

    streams = [name for name, line in log.streams.items() if line.schema == PREDICTION]
    if not streams:
        raise LabelError("the log holds no predictions: replay it first, or use --csv")
    return (sample for sample in log.samples(streams) if isinstance(sample, Prediction))


def _list(arguments: argparse.Namespace, _: TruthOf) -> Shown:
    from pipeline.exchange.beginning import beginning_ns
    from pipeline.exchange.table_out import seconds
    from pipeline.label.store import all_labels
    from pipeline.log.reader import LogReader

    with LogReader(arguments.file) as log:
        zero_ns = beginning_ns(log)
    found: dict[str, Any] = {"file": str(arguments.file), "sets": {}}
    shown = []
    for stream, labels in sorted(all_labels(arguments.file).items()):
        rows = [
            {
                "start_s": float(seconds(x.t_capture_ns, zero_ns)),
                "end_s": float(seconds(x.t_until_ns, zero_ns)),
                "label": x.label,
                "source": x.source,
                "score": x.score,
            }
            for x in labels
        ]
        found["sets"][stream.partition("/")[2]] = rows
        shown += [f"{stream}: {len(rows)} labels"]
        shown += [f"  {r['start_s']:10.3f} {r['end_s']:10.3f}  {r['label']}" for r in rows]
    return found, "\n".join(shown) or f"{arguments.file}: no labels"


def _merge(arguments: argparse.Namespace, _: TruthOf) -> Shown:
    from pipeline.label.merged import merge
    from pipeline.label.store import LabelError, beside, read_beside

    sets = read_beside(arguments.file)
    if not sets:
        raise LabelError(f"{beside(arguments.file)}: holds no labels to merge")
    n = merge(arguments.file, sets, arguments.out)
    return {"file": str(arguments.out), "labels": n}, f"{arguments.out}: {n} labels merged"


def _split(arguments: argparse.Namespace, _: TruthOf) -> Shown:
    from pipeline.label.split import Plan, make_split, write_split
    from pipeline.label.store import labels_of
    from pipeline.log.reader import LogReader

    with LogReader(arguments.file) as log:
        span, guard_s = _span(log), arguments.guard_s or _guard_s(log.config)
    block_s = arguments.block_s or max(2 * guard_s, (span[1] - span[0]) / 1e9 / BLOCKS)
    plan = Plan(
        shares=arguments.parts,
        block_ns=round(block_s * 1e9),
        guard_ns=round(guard_s * 1e9),
        seed=arguments.seed,
    )
    labels = labels_of(arguments.file, arguments.name)
    split = make_split(arguments.file.name, span, labels, plan)
    path = write_split(arguments.file, split)
    held = {name: split.seconds_of(labels, name) for name in split.parts}
    shown = [f"{path}: blocks of {block_s:g} s, guard gaps of {guard_s:g} s"]
    for name, by_label in held.items():
        shown += [f"{name}: " + ", ".join(f"{k or 'all'} {v:g} s" for k, v in by_label.items())]
    found = {"file": str(path), "block_s": block_s, "guard_s": guard_s, "seconds": held}
    return found, "\n".join(shown)


def _guard_s(config: Config | None) -> float:
    """The longest that a window reaches back from its tick."""
    ages_s = [line.max_age_ms / 1000 for line in config.streams.values()] if config else []
    return max(ages_s, default=MAX_AGE_S) + LONGEST_WINDOW_S


def _span(log: LogReader) -> tuple[int, int]:
    """The time that the log covers: end exclusive. Raises LabelError."""
    from pipeline.label.store import LabelError

    lines = [line for line in log.streams.values() if line.n_messages]
    if not lines:
        raise LabelError("the log holds no samples")
    return (
        min(line.first_publish_ns for line in lines),
        max(line.last_publish_ns for line in lines) + 1,
    )


def _add(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    made.add_argument("file", type=Path, metavar="FILE", help="a log")
    made.add_argument("--json", action="store_true", help="end with one line of JSON")
    return made


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value


def _is_name(text: str) -> bool:
    return (
        0 < len(text) <= 64 and text.replace("-", "").replace("_", "").isalnum() and text.isascii()
    )


def _name(text: str) -> str:
    if not _is_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: letters, digits, - and _")
    return text


def _parts(text: str) -> dict[str, float]:
    """ "train=0.7,test=0.3" as a table."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        if not _is_name(name) or not 0 < _number(share) <= 1e6 or name in found:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=SHARE,NAME=SHARE")
        found[name] = _number(share)
    return found
