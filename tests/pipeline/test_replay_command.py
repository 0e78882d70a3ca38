"""`sensorium replay` as a user meets it: results, exit codes, one line for each error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engines.bundle import SHIPPED
from pipeline.cli import main
from pipeline.config import Config
from pipeline.log.reader import LogReader
from pipeline.replay.part import ReplayError
from pipeline.replay.settings import replay_config
from tests.pipeline.home import CAMERA, config
from tests.pipeline.live_log import live_log, published, write_log


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("log") / "live.mcap"
    live_log(made, config(), duration_s=3.0)
    return made


def replayed(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> dict[str, Any]:
    assert main(["replay", str(path), "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def error(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> str:
    """The one line that a user reads."""
    assert main(["replay", str(path), *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_json_holds_the_result(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    found = replayed(capsys, path)
    assert found["predictions"] == 30
    assert len(found["predictions_sha256"]) == 64
    assert found["speed"] > 0
    assert found["differences"]["compared"] == 30
    assert not any(found["differences"][what] for what in ("inputs", "scores", "decisions"))
    assert found["realigned"].keys() == {"windows", "differ", "share"}
    part = replayed(capsys, path, "--start", "1", "--duration", "1", "--windows", "aligned")
    assert (part["predictions"], part["windows"]) == (10, "aligned")


def test_people_read_the_same(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    assert main(["replay", str(path), "--streams", "text/events"]) == 0
    said = capsys.readouterr().out
    assert "30 predictions, 3.0 s of log in " in said
    assert "predictions_sha256 " in said
    assert " s: fall (fall " in said
    assert "re-aligned, " in said


def test_golden_predictions_are_held_to(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    golden, other = tmp_path / "golden.jsonl", tmp_path / "other.jsonl"
    replayed(capsys, path, "--write-golden", str(golden))
    assert replayed(capsys, path, "--golden", str(golden))["golden"] is None
    rows = [json.loads(line) for line in golden.read_text().splitlines()]
    assert rows[0].keys() == {"tick_ns", "inputs", "missing", "outputs", "weights", "backend"}
    rows[7]["outputs"]["situation"]["fall"] = 2.0
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["replay", str(path), "--golden", str(other)]) == 1
    told = capsys.readouterr().err
    assert f"{other}: prediction 7.outputs.situation.fall: 2.000000 expected, 0." in told
    other.write_text("".join(json.dumps(row) + "\n" for row in rows[:5]))
    assert main(["replay", str(path), "--golden", str(other)]) == 1
    assert "prediction 5: found beyond the last" in capsys.readouterr().err
    other.write_text("{")
    assert "other.jsonl: line 1 is not JSON" in error(capsys, path, "--golden", str(other))


def test_another_bundle_is_compared_in_its_decisions(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    """The same one with its labels turned round decides otherwise every time."""
    other = tmp_path / "other"
    shutil.copytree(SHIPPED / "home", other)
    manifest = json.loads((other / "bundle.json").read_text())
    manifest["heads"]["situation"]["labels"].reverse()
    (other / "bundle.json").write_text(json.dumps(manifest))
    found = replayed(capsys, path, "--bundle", str(other))["differences"]
    assert found["decisions"] == found["compared"] == 30
    first = found["first"][0]
    assert len(found["first"]) == 5
    assert first["old"] != first["new"]
    assert first["old_scores"][first["old"]] == pytest.approx(first["new_scores"][first["new"]])
    assert first["at_s"] == pytest.approx(0.1, abs=0.1)


def test_names_can_be_others(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    plain = replayed(capsys, path)
    renamed = replayed(capsys, path, "--remap", f"{CAMERA}=camera/door")
    assert renamed["differences"] == plain["differences"]
    assert renamed["predictions_sha256"] != plain["predictions_sha256"]


def test_a_configuration_of_ones_own_takes_the_place_of_the_logs(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\n[camera.door]\nsource = "external"\n')
    remap = ("--remap", f"{CAMERA}=camera/door")
    found = replayed(capsys, path, "--config", str(own), *remap)
    assert found["predictions"] == found["differences"]["compared"] == 30
    assert found["differences"]["inputs"] == 30


def test_renaming_keeps_order_clock_and_inputs(path: Path) -> None:
    with LogReader(path) as log:
        named = replay_config(log, None, {CAMERA: "camera/b"}, [])
        assert next(iter(named.streams)) == "camera/b"
        assert isinstance(named, Config)
        for wrong in ("microphone/room", "camera", "camera/"):
            with pytest.raises(ReplayError, match=f"{CAMERA}=camera/NAME, a name not in use"):
                replay_config(log, None, {CAMERA: wrong}, [])


def test_every_error_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    assert "cannot be read" in error(capsys, tmp_path / "nothing.mcap")
    assert "the log ends after 3.0" in error(capsys, path, "--start", "9")
    assert "write it as old=new" in error(capsys, path, "--remap", "x")
    assert "did you mean 'camera/room'" in error(capsys, path, "--streams", "camera/rom")
    assert "fusion.backend: invalid enum value 'abacus'" in error(
        capsys, path, "--backend", "abacus"
    )
    bare = tmp_path / "bare.mcap"
    write_log(bare, published(1, 0.5), None)
    assert "no configuration: name one with --config FILE" in error(capsys, bare)
    with pytest.raises(SystemExit):
        main(["replay", str(path), "--bus", "--speed", "0"])
    assert "'0' is no speed above 0; without --bus" in capsys.readouterr().err
