"""From an ONNX graph to a plan: strongly typed, so that every precision is that of the graph.

It uses only names that TensorRT 10.3 to 11.4 and TensorRT-RTX have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from engines.error import EngineError
from engines.tensorrt.binding import Binding
from engines.tensorrt.timing import Timing

WORKSPACE_BYTES = 256 << 20
# The only size that may be open in a graph. A tick is a batch of one, and a fixed size is fastest.
BATCH = 1
PROFILE = f"batch {BATCH}"

Report: TypeAlias = Callable[[float], None]  # the share that is done


def build(
    binding: Binding, graph: bytes, flags: tuple[str, ...], timing: Timing, report: Report
) -> bytes:
    """The plan of an ONNX graph. Raises EngineError with the operator that is at fault.

    `flags` are names of trt.BuilderFlag; TF32 is off unless it is among them.
    """
    trt, errors = binding.trt, binding.logger
    errors.take()
    builder = trt.Builder(errors)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(binding, network, graph)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.clear_flag(trt.BuilderFlag.TF32)
    for name in flags:
        config.set_flag(trt.BuilderFlag.__members__[name])
    _add_profile(builder, network, config)
    timing.give(config)
    monitor = make_monitor(trt, report)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    said = errors.take()
    if plan is None or said:
        raise _refusal(binding, network, said)
    timing.keep(config)
    return bytes(plan)


def make_monitor(trt: Any, report: Report) -> Any:
    """A progress monitor of a module of bindings; it tells the share of the outermost phase."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the bindings have no types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, num_steps: int) -> None:
            if not parent:
                self._steps[phase] = num_steps

        def step_complete(self, phase: str, step: int) -> bool:
            """What TensorRT calls after each step; it goes on if this is true."""
            if phase in self._steps:
                report(min(1.0, (step + 1) / max(1, self._steps[phase])))
            return True

        def phase_finish(self, phase: str) -> None:
            if self._steps.pop(phase, None) is not None:
                report(1.0)

    return Monitor()


def _parse(binding: Binding, network: Any, graph: bytes) -> None:
    parser = binding.trt.OnnxParser(network, binding.logger)
    if parser.parse(graph):
        return
    found = [parser.get_error(index) for index in range(parser.num_errors)]
    said = [f"operator {row.node_operator()} ({row.node_name()}): {row.desc()}" for row in found]
    # The logger has the same rows again.
    raise _error(binding, said or binding.logger.take())


def _add_profile(builder: Any, network: Any, config: Any) -> None:
    """Fix the batch where it is open. Raises EngineError for any other open size."""
    profile, is_open = builder.create_optimization_profile(), False
    for tensor in _inputs(network):
        shape = tuple(tensor.shape)
        if -1 in shape[1:]:
            raise EngineError(f"input {tensor.name} is {shape}: only the batch may be open")
        if shape[:1] == (-1,):
            fixed, is_open = (BATCH, *shape[1:]), True
            profile.set_shape(tensor.name, fixed, fixed, fixed)
    if is_open and config.add_optimization_profile(profile) < 0:
        raise EngineError(f"the optimization profile of {PROFILE} is refused")


def _inputs(network: Any) -> Iterator[Any]:
    for index in range(network.num_inputs):
        yield network.get_input(index)


def _refusal(binding: Binding, network: Any, said: list[str]) -> EngineError:
    """What the builder said, with the operators that it names."""
    layers = (network.get_layer(index) for index in range(network.num_layers))
    kinds = {layer.name: layer.type.name for layer in layers}
    return _error(binding, [_with_operators(text, kinds) for text in said])


def _with_operators(text: str, kinds: dict[str, str]) -> str:
    named = [f"{kind} ({name})" for name, kind in kinds.items() if name and name in text]
    return f"operator {', '.join(named[:3])}: {text}" if named else text


def _error(binding: Binding, said: list[str]) -> EngineError:
    text = "; ".join(dict.fromkeys(said)) or "it gives no plan, and no reason"
    return EngineError(f"{binding.backend} {binding.version}: {text}")
