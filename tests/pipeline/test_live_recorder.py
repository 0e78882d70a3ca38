"""The node begins when the recorder reads what it publishes, or without it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline import live
from pipeline.bus.publisher import Publisher
from pipeline.bus.subscriber import Subscriber
from pipeline.child import Stop
from pipeline.config import Config, Recording
from pipeline.loader import check
from pipeline.stream import Text

LIMIT_S = 10.0
TOPICS = ("prediction/a", "tokens/camera/a")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    camera = {"source": "simulator", "record": "tokens"}
    folder = str(tmp_path / "run")
    made = check({"name": "a", "run_dir": folder, "camera": {"a": camera}}, "a")
    return replace(made, record=Recording(file="a.mcap"))


def test_the_node_waits_for_whoever_records_all_that_it_publishes(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECORDER_S", LIMIT_S)
    endpoint = config.predictions_endpoint
    with Publisher(endpoint) as publisher:
        waiting = threading.Thread(target=live.wait_for_recorder, args=[config, publisher, Stop()])
        waiting.start()
        table = {topic: (endpoint, Text(source="")) for topic in TOPICS}
        readers = [Subscriber(table)]  # as a supervisor, who is not waited for
        readers.append(Subscriber({TOPICS[0]: table[TOPICS[0]]}, observer=True))
        waiting.join(0.3)
        assert waiting.is_alive()
        readers.append(Subscriber({TOPICS[1]: table[TOPICS[1]]}, observer=True))
        waiting.join(LIMIT_S / 2)
        assert not waiting.is_alive()
    for reader in readers:
        reader.close()


def test_it_waits_for_no_recorder_that_is_not_there(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Publisher(config.predictions_endpoint) as publisher:
        asked, began_s = Stop(), time.monotonic()
        live.wait_for_recorder(replace(config, record=Recording()), publisher, asked)
        monkeypatch.setattr(live, "RECORDER_S", 0.2)
        live.wait_for_recorder(config, publisher, asked)
        monkeypatch.setattr(live, "RECORDER_S", 10 * LIMIT_S)
        asked.ask()
        live.wait_for_recorder(config, publisher, asked)
        assert 0.2 <= time.monotonic() - began_s < LIMIT_S
