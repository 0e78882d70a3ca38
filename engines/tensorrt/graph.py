"""A CUDA graph: what was enqueued once, launched again with one call.

pycuda has no graphs, so they come from cuda-bindings, on pycuda's stream.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Hashable
from typing import Any

from engines.error import EngineError

log = logging.getLogger(__name__)


class GraphError(Exception):
    """A call of the driver that makes or launches a graph failed."""


class Graph:
    """What `enqueue` puts on a stream. Needs the context to be current in every call."""

    def __init__(self, cuda: Any, stream: int, enqueue: Callable[[], None]) -> None:
        """Capture it; `enqueue` has run before. Raises GraphError, and what `enqueue` raises."""
        self._cuda, self._stream = cuda, cuda.CUstream(stream)
        # Only this thread is held to the rules of a capture: others go on allocating.
        mode = cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _call(cuda, "cuStreamBeginCapture", self._stream, mode)
        try:
            enqueue()
        except BaseException:
            # A capture that failed must be ended too, or the stream is of no more use.
            self._discard()
            raise
        captured = _call(cuda, "cuStreamEndCapture", self._stream)
        try:
            self._graph = _call(cuda, "cuGraphInstantiate", captured, 0)
        finally:
            _call(cuda, "cuGraphDestroy", captured)

    def launch(self) -> None:
        """Enqueue all of it. Raises GraphError."""
        _call(self._cuda, "cuGraphLaunch", self._graph, self._stream)

    def close(self) -> None:
        """Give it back; it must not be under way. Raises GraphError."""
        _call(self._cuda, "cuGraphExecDestroy", self._graph)

    def _discard(self) -> None:
        code, captured = self._cuda.cuStreamEndCapture(self._stream)
        if not int(code) and captured is not None:
            self._cuda.cuGraphDestroy(captured)


class Launcher:
    """Enqueues the same work over and over, as a graph wherever that can be done.

    The first call with a `key` enqueues plainly, for TensorRT sets up then what it puts off; the
    second captures; the others launch the graph. Another key begins again. `why_plain` says why
    there is no graph.
    """

    def __init__(self, stream: int, enqueue: Callable[[], None], cuda: Any | None) -> None:
        self._stream, self._enqueue, self._cuda = stream, enqueue, cuda
        self._key: Hashable = None
        self._graph: Graph | None = None
        self.why_plain = "" if cuda else "cuda-bindings is not installed"

    @property
    def has_graph(self) -> bool:
        """Whether the next launch of the same key is one of a graph."""
        return self._graph is not None

    def run(self, key: Hashable) -> None:
        """Enqueue the work. Raises GraphError, and what `enqueue` raises."""
        if key != self._key:
            self.close()
            self._enqueue()
            self._key = key
            return
        if self._graph is None and not self.why_plain:
            self._capture()
        (self._graph.launch if self._graph else self._enqueue)()

    def close(self) -> None:
        """Give the graph back; a second call does nothing."""
        graph, self._graph, self._key = self._graph, None, None
        if graph:
            try:
                graph.close()
            except GraphError as error:
                log.warning("%s", error)

    def _capture(self) -> None:
        assert self._cuda is not None
        try:
            self._graph = Graph(self._cuda, self._stream, self._enqueue)
        except (GraphError, EngineError) as error:
            # Slower, but as right; said once, and seen in `why_plain`.
            self.why_plain = f"{error}"
            log.warning("no CUDA graph, plain enqueue from now on: %s", error)


def cuda_bindings() -> Any | None:
    """The driver API of cuda-bindings, or None where it is not installed."""
    try:
        return importlib.import_module("cuda.bindings.driver")
    except ImportError:
        return None


def _call(cuda: Any, function: str, *arguments: Any) -> Any:
    """Call it; returns its one result, if it has one. Raises GraphError."""
    try:
        code, *results = getattr(cuda, function)(*arguments)
    except RuntimeError as error:  # cuda-bindings is newer than the driver
        raise GraphError(f"{function}: {error}") from error
    if int(code):
        raise GraphError(f"{function} gives {code.name}")
    return results[0] if results else None
