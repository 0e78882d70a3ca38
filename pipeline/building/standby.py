"""A model that is made ready beside the one that serves: built in another process, then loaded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

from engines.ahead import BUILT, check_backend, missing
from engines.bundle import Bundle
from engines.compiled import CompiledBundle
from engines.error import EngineError
from pipeline.building.builder import Builder, command
from pipeline.child import HealthReporter, Stop
from pipeline.config import Fusion
from pipeline.node import FusionNode

POLL_S = 0.2
LINE_S = 5.0  # between two lines of progress
JOIN_S = 0.3  # for a load that is under way when the node stops

Load: TypeAlias = Callable[[], CompiledBundle]

log = logging.getLogger(__name__)


class Standby:
    """Builds, then loads in a thread, then gives the node its new engines between two ticks.

    What fails is said once, and in each prediction from then on: the engines that serve go on.
    """

    def __init__(self, build: list[str] | None = None, load: Load | None = None) -> None:
        """`build` is the command of a Builder, if there is anything to build.

        Without `load` there is nothing to come.
        """
        self._load, self._loaded = load, list[CompiledBundle]()
        self._error = self._failed = ""
        self._thread: threading.Thread | None = None
        self._builder = Builder(build) if build else None
        if load and not self._builder:
            self._start_loading()

    @property
    def why(self) -> str:
        """Why the requested backend does not run yet."""
        if self._failed:
            return self._failed
        return self._builder.said if self._builder else "loading"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return not self._builder and not self._thread

    def step(self, node: FusionNode) -> None:
        """Do what is due, between two ticks."""
        if self.is_over:
            return
        try:
            self._advance(node)
        except EngineError as error:
            self._failed = f"failed: {error}"
            log.error("%s; the node goes on with the backend that serves", error)
            self.close()
        if self._failed or not self.is_over:
            node.explain(self.why)

    def close(self) -> None:
        """End what is under way."""
        if self._builder:
            self._builder.close()
            self._builder = None
        if self._thread:
            self._thread.join(JOIN_S)
            self._thread = None

    def _advance(self, node: FusionNode) -> None:
        if self._builder:
            if self._builder.poll():
                self._builder.close()
                self._builder = None
                self._start_loading()
        elif self._thread and not self._thread.is_alive():
            self._thread = None
            if not self._loaded:
                raise EngineError(self._error or "the engines could not be loaded; see above")
            log.info("the engines are ready: %s", self._loaded[0].fusion.backend)
            node.use(self._loaded.pop())

    def _start_loading(self) -> None:
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        assert self._load is not None
        try:
            self._loaded.append(self._load())
        except EngineError as error:
            self._error = str(error)


def open_model(
    fusion: Fusion, bundle: Bundle, stop: Stop, health: HealthReporter
) -> tuple[CompiledBundle, Standby] | None:
    """The model that serves from the start, and the one to come, if any. None: told to stop.

    Raises EngineError.
    """
    check_backend(fusion.backend, fusion.options)

    def load() -> CompiledBundle:
        return CompiledBundle(bundle, fusion.backend, fusion.options)

    built = command(fusion) if fusion.backend in BUILT else None
    if fusion.while_building and fusion.while_building != fusion.backend:
        serving = CompiledBundle(bundle, fusion.while_building)
        return serving, Standby(built, load)
    waits = built and missing(bundle, fusion.backend, fusion.options)
    if built and waits and not build_now(built, stop, health):
        return None
    return load(), Standby()


def build_now(built: list[str], stop: Stop, health: HealthReporter) -> bool:
    """Wait for a build, with progress; whether it was not interrupted. Raises EngineError."""
    builder, passed_s = Builder(built), LINE_S
    said = builder.said
    health.report("building")
    try:
        while not builder.poll():
            if stop.wait(POLL_S):
                return False
            health.beat()
            passed_s += POLL_S
            if builder.said != said and passed_s >= LINE_S:
                said, passed_s = builder.said, 0.0
                log.info("%s", said)
    finally:
        builder.close()
    return True
