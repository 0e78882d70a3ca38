"""The example configurations: short, valid, and each ends in a bundle that runs live."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.example_table import FOLDER, TRAINING, rows_of, table
from engines.bundle import load_bundle
from engines.output import names_of
from pipeline.loader import load
from tests.system.run import Run, sensorium

EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.toml"))
LONGEST = 39  # lines
# What makes a training so short that only its path is tested.
SHRUNKEN = ("model.train.epochs=1", "model.train.batch=8", "model.train.fold=0.2")


def test_there_are_twelve_examples() -> None:
    assert len(EXAMPLES) == 12


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_says_how_it_is_trained(name: str) -> None:
    path = FOLDER / f"{name}.toml"
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert TRAINING.search(text)
    assert f"deploy/example/{name}.toml" in text
    config = load(path)
    assert config.model is not None
    assert config.fusion.bundle == f"runs/{name}"
    kinds = {"image": config.camera, "audio": config.microphone, "text": config.text}
    kinds["readings"] = config.readings
    assert set(config.model.encoders) == {kind for kind, streams in kinds.items() if streams}


def test_the_table_names_both_baselines() -> None:
    found = {
        "curves": {"image": [], "text": []},
        "latency_ms": {"p50": 2.0},
        "heads": {
            "what": {
                "accuracy": 0.9,
                "majority": 0.125,
                "missing": {"image": 0.5, "text": 0.4},
            },
            "place": {"recall@1": 0.1, "chance": 0.002},
            "told": {"key_words": 0.8, "common": 0.3, "missing": {"image": 0.4, "text": 0.6}},
            "picture": {},
        },
    }
    made = table(list(rows_of("x", found))).splitlines()
    assert made[2] == "| x | what | accuracy | 0.900 | 0.125 | 0.500 | +0.400 | 2.0 |"
    assert made[3] == "| x | place | recall@1 | 0.100 | 0.002 | - | +0.098 | 2.0 |"
    assert made[4] == "| x | told | key words | 0.800 | 0.300 | 0.600 | +0.200 | 2.0 |"
    assert len(made) == 5


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra: train")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains_and_runs_live(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, bundle = FOLDER / f"{name}.toml", tmp_path / name
    words = [word for override in SHRUNKEN for word in ("--set", override)]
    made = ("train", str(path), "--scenes", "40", "--out", str(bundle))
    done = sensorium(tmp_path, *made, *words, limit_s=240)
    assert done.returncode == 0, done.stderr

    config = load(path)
    assert config.model is not None
    manifest = load_bundle(str(bundle)).manifest
    assert list(manifest.heads) == list(config.model.head)
    # What the main head says stands by itself, if it has names.
    main = manifest.main if names_of(manifest.heads[manifest.main]) else ""
    others = manifest.heads.keys() - {main}
    with Run(tmp_path, path.read_text(encoding="utf-8"), *live(bundle)) as run:
        said = run.until(lambda p: not p["missing"] and others <= p.get("outputs", {}).keys())
        run.stop()
    assert others == said.get("outputs", {}).keys()
    assert bool(said["scores"]) == bool(main)


def live(bundle: Path) -> tuple[str, ...]:
    """The arguments of a run of a bundle that writes predictions as lines."""
    return ("--set", f"fusion.bundle={bundle}", "--set", "out.jsonl=-")
