"""A bundle is judged on logs by what a node would have answered."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.simulated_home import unseen
from engines.bundle import load_bundle
from engines.output import MatchOutput, RegressOutput, RetrieveOutput
from pipeline.cli import main
from pipeline.evaluation.condition import ALL, Condition, Findings, Trial, judge
from pipeline.evaluation.head import details, headline
from pipeline.evaluation.panel import Answer, Panel
from pipeline.evaluation.relation import relations
from pipeline.evaluation.spoilt import spoilt
from pipeline.node import FusionNode
from tests.pipeline.home import CAMERA, MICROPHONE, READINGS, TEXT, config, model
from tests.pipeline.live_log import published, write_log
from tests.pipeline.test_examples_source import labels

MODALITIES = ["image", "audio", "text", "readings"]
TRUTH = labels((2.0, 2.3, "quiet"), (2.3, 2.6, "fall"))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "home.mcap"
    write_log(
        path, [*published(5, 3.0), *TRUTH, *labels((2.3, 2.6, "camera"), name="stale")], config()
    )
    return path


def test_every_pattern_is_what_a_node_answers_without_these_streams() -> None:
    (scene,) = unseen(config(), 1, 3)
    panel = Panel(config(), model())
    found = judge(panel, [scene], Trial(), lambda done: None)
    kinds = [condition.kind for condition in found.rows]
    assert [kinds.count(kind) for kind in ("all", "missing", "noisy")] == [1, 14, 20]
    for condition in [
        ALL,
        Condition("missing", ("image",)),
        Condition("missing", ("audio", "text")),
    ]:
        node = FusionNode(config(), model(), stopwatch=count().__next__)
        gone = {"image": CAMERA, "audio": MICROPHONE, "text": TEXT, "readings": READINGS}
        left = {
            s: x
            for s, x in scene.samples.items()
            if s not in [gone[m] for m in condition.modalities]
        }
        for sample in sorted((s for x in left.values() for s in x), key=lambda s: s.t_publish_ns):
            node.accept(sample, sample.t_publish_ns)
        said = list(node.tick(scene.tick_ns).scores.values())
        assert found.rows[condition]["situation"][0].tolist() == said


def test_corruption_is_seeded_by_the_window_and_the_stream() -> None:
    (scene,) = unseen(config(), 1, 3)
    for stream, samples in scene.samples.items():
        same = [spoilt(samples, 1.0, 7), spoilt(samples, 1.0, 7), spoilt(samples, 1.0, 8)]
        contents = [[bytes(repr(getattr(s, "text", "")), "utf8") + raw(s) for s in x] for x in same]
        assert contents[0] == contents[1] != contents[2]
        times = [[(s.seq, s.t_capture_ns, s.t_publish_ns) for s in x] for x in (samples, same[0])]
        assert times[0] == times[1], stream
    assert not spoilt((), 1.0, 0)


def raw(sample: Any) -> bytes:
    arrays = (getattr(sample, name, None) for name in ("pixels", "pcm", "values"))
    return b"".join(np.asarray(array).tobytes() for array in arrays if array is not None)


def test_a_log_is_judged(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["evaluate", "home", "--json", str(log), "--html", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["windows"] == 6
    assert {"accuracy", "ece", "missing", "noisy", "latency_ms", "robust", "curves"} <= set(found)
    assert set(found["noisy"]) == set(MODALITIES)
    assert len(found["missing"]) == 14
    assert {"image", "image+audio", "image+audio+text"} <= set(found["missing"])
    assert set(found["latency_ms"]) == {"p50", "p99"}
    assert set(found["missing_ms"]) == set(found["missing"])
    assert 0 < found["missing_ms"]["image+audio+text"] < found["latency_ms"]["p50"]
    assert sum(found["encoder_bytes"].values()) < found["size_bytes"]
    scores = found["heads"]["situation"]
    assert scores["accuracy"] == found["accuracy"]
    assert sum(map(sum, scores["confusion"])) == 6
    assert found["stale"] == scores["classes"]["fall"]["recall"]
    html = page.read_text()
    assert html.count("<svg") == 4
    assert "http" not in html.replace("http-equiv", "")
    assert main(["evaluate", "home", str(log), "--limit", "2"]) == 0
    text = capsys.readouterr().out
    assert "| modality | it alone | without it | it under noise | ms alone | MB |" in text
    assert "home (fp32, onnxruntime) on 2 windows of home.mcap" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere", "LOG"], "bundle 'nowhere'"),
        (["home", "LOG", "--scenes", "3"], "not by both"),
        (["home", "LOG", "--part", "val"], "sensorium label split"),
        (["home", "missing.mcap"], "cannot be read"),
    ],
)
def test_what_cannot_be_judged_is_told(
    log: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *(str(log) if word == "LOG" else word for word in arguments)]) == 2
    assert told in capsys.readouterr().err


def test_only_a_part_of_a_split_log_is_judged(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = ["--parts", "train=0.5,val=0.5", "--block-s", "0.1", "--guard-s", "0.01"]
    assert main(["label", "split", str(log), *split]) == 0
    capsys.readouterr()
    counts = []
    for part in ("train", "val"):
        assert main(["evaluate", "home", str(log), "--part", part, "--json"]) == 0
        counts.append(json.loads(capsys.readouterr().out)["windows"])
    assert min(counts) > 0
    assert sum(counts) <= 6
    assert main(["evaluate", "home", str(log), "--part", "test"]) == 2
    assert "no part 'test'" in capsys.readouterr().err


def test_a_number_is_judged_by_its_error() -> None:
    head = RegressOutput(name="warmth", unit="C", mean=0.0, spread=1.0)
    rows = [np.array([x], np.float32) for x in (1.0, 2.0, 4.0, 9.0)]
    targets = [{"warmth": ("1",)}, {"warmth": ("2",)}, {"warmth": ("3",)}, {"warmth": ("nan",)}]
    found = details(head, rows, targets)
    assert (found["windows"], found["unit"]) == (3, "C")
    assert found["mean_error"] == pytest.approx(1 / 3)
    assert headline(head, rows, targets) == pytest.approx(1 - (1 / 3) / (2 / 3))


def test_relations_are_judged_over_pairs() -> None:
    found = Findings(targets=[{}] * 4)
    one, two = Condition("missing", ("text",)), Condition("missing", ("image",))
    for number in range(4):
        key = np.eye(4, dtype=np.float32)[number]
        same = np.array([0.1 + 0.2 * number], np.float32)
        found.add(ALL, number, Answer({"near": key, "same": np.array([0.9], np.float32)}, 0.0))
        found.add(one, number, Answer({"near": key}, 0.0))
        found.add(two, number, Answer({"near": np.roll(key, number == 0)}, 0.0))
        found.add(Condition("shuffled"), number, Answer({"same": same}, 0.0))
    heads = {"near": RetrieveOutput(size=4), "same": MatchOutput()}
    bundle = load_bundle("home")

    class Model:
        manifest = bundle.manifest.__class__(
            **{
                **{f: getattr(bundle.manifest, f) for f in bundle.manifest.__struct_fields__},
                "heads": heads,
            }
        )

    scores = relations(Model(), found, ["image", "text"])  # type: ignore[arg-type]
    assert scores["near"]["pairs"]["image to text"]["recall@1"] == 0.5
    assert scores["near"]["chance"] == 0.25
    assert scores["same"]["accuracy"] == pytest.approx(6 / 8)
    assert scores["same"]["average_precision"] == 1.0
