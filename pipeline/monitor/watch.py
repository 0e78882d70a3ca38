"""`sensorium top`: asks the control endpoint once a second, listens to the predictions."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec.structs import replace
from rich.console import RenderableType
from rich.live import Live

from pipeline import child
from pipeline.bus.subscriber import Subscriber
from pipeline.child import Stop
from pipeline.control import request
from pipeline.error import ControlError
from pipeline.monitor.recent import Recent
from pipeline.monitor.screen import screen
from pipeline.monitor.usage import Meter
from pipeline.prediction import Prediction
from pipeline.run_directory import CONFIG
from pipeline.stream import Text
from pipeline.terminal import Screen

REFRESH_S = 1.0
BOUND = 1024


def watch(run_dir: Path, stop: Stop, *, once: bool) -> None:
    """Draw until told to stop, or until the run ends; or `once`. Raises ControlError."""
    request(run_dir, "status")  # says it where nothing runs
    config = replace(child.read_config(run_dir / CONFIG), run_dir=str(run_dir.resolve()))
    line = Text(source="", bound=BOUND)
    bus = Subscriber({f"prediction/{config.name}": (config.predictions_endpoint, line)})
    recent, meter, console = Recent(), Meter(), Screen()

    def drawn() -> RenderableType:
        _listen(bus, recent, stop)
        return screen(config.name, request(run_dir, "status").processes, recent, meter)

    try:
        if once:
            console.print(drawn())
            return
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while not stop.is_set():
                live.update(drawn(), refresh=True)
    except ControlError as error:
        console.print(f"the run has ended: {error}", markup=False, highlight=False)
    finally:
        bus.close()


def _listen(bus: Subscriber, recent: Recent, stop: Stop) -> None:
    """Take in the predictions of the next second."""
    until_s = time.monotonic() + REFRESH_S
    while not stop.is_set() and (left_s := until_s - time.monotonic()) > 0:
        for sample in bus.receive(min(left_s, 0.2) * 1e3):
            if isinstance(sample, Prediction):
                recent.add(sample)
