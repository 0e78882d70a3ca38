"""Every encoder: tokens as said, finite on nothing, all of it trained, and a graph that agrees."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")
onnx = pytest.importorskip("onnx", reason="needs the extra: train")

from engines.bundle import EncoderSpec  # noqa: E402
from engines.compiled import input_spec  # noqa: E402
from engines.encoder.entry import ENCODERS, make_encoder, tokens_of  # noqa: E402
from engines.error import EngineError  # noqa: E402
from engines.example import HOME  # noqa: E402
from engines.noise import noise_input  # noqa: E402
from engines.tensorrt.precision import to_fp16  # noqa: E402
from tests.engines.tensorrt.plans import check_graph as check_built  # noqa: E402
from tests.engines.tensorrt_operator import PARSED  # noqa: E402

WIDTH = 32
LARGEST_ERROR = 1e-4
SMALL = {"image": {"height_px": 64, "width_px": 64}}
MFCC = {"features": "mfcc", "coefficients": 13}
GRAPH = {**MFCC, "computed": "graph"}
# Name, and what of the spec is unlike the shipped bundle's. The foreign one has its own tests.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    *((m, name, SMALL.get(m, {})) for m in ENCODERS for name in ENCODERS[m]),
    ("audio", "cnn", MFCC),
    ("audio", "conformer", MFCC),
    ("audio", "cnn", {"mels": 100}),
    ("audio", "cnn", GRAPH),
    ("text", "transformer", {"length": 50}),
    ("readings", "conv", {"names": ("x", "y", "z"), "window": 3}),
]
CASES = [case for case in CASES if case[1] != "huggingface"]
QUICK = [case for case in CASES if case[1] != "resnet50"]


def ids(case: Any) -> str:
    return "-".join(map(str, case[:2])) + "".join(f"-{key}" for key in case[2])


EACH = pytest.mark.parametrize("case", CASES, ids=map(ids, CASES))
EACH_QUICK = pytest.mark.parametrize("case", QUICK, ids=map(ids, QUICK))


def spec_of(modality: str, changes: dict[str, Any]) -> EncoderSpec:
    spec: EncoderSpec = msgspec.structs.replace(getattr(HOME, modality), **changes)
    return spec


def made(case: tuple[str, str, dict[str, Any]]) -> tuple[Any, EncoderSpec]:
    modality, name, changes = case
    torch.manual_seed(0)
    spec = spec_of(modality, changes)
    return make_encoder(modality, name, spec, WIDTH).eval(), spec


def noise(spec: EncoderSpec, n: int = 1) -> Any:
    rng = np.random.default_rng(0)
    return torch.from_numpy(np.concatenate([noise_input(spec, rng) for _ in range(n)]))


@EACH
def test_it_makes_the_promised_tokens(case: tuple[str, str, dict[str, Any]]) -> None:
    encoder, spec = made(case)
    inputs = noise(spec, 2)
    assert tuple(inputs.shape[1:]) == input_spec(spec).shape[1:]
    with torch.no_grad():
        tokens = encoder(inputs)
        alone = encoder(inputs[:1])
    assert tokens.shape == (2, tokens_of(*case[:2]), WIDTH)
    assert tokens.dtype == torch.float32
    torch.testing.assert_close(tokens[:1], alone, atol=1e-4, rtol=1e-4)


@EACH_QUICK
def test_silence_darkness_and_an_empty_text_are_finite(
    case: tuple[str, str, dict[str, Any]],
) -> None:
    encoder, spec = made(case)
    wanted = input_spec(spec)
    nothing = torch.from_numpy(np.zeros(wanted.shape, wanted.dtype))
    with torch.no_grad():
        assert torch.isfinite(encoder(nothing)).all()


@EACH_QUICK
def test_every_parameter_gets_a_gradient(case: tuple[str, str, dict[str, Any]]) -> None:
    encoder, spec = made(case)
    tokens = encoder.train()(noise(spec, 4))
    (tokens * torch.randn_like(tokens)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.slow
@EACH
def test_its_graph_agrees_and_has_operators_that_tensorrt_parses(
    case: tuple[str, str, dict[str, Any]], tmp_path: Path
) -> None:
    encoder, spec = made(case)
    check_graph(encoder, noise(spec), tmp_path / "encoder.onnx")


def check_graph(encoder: Any, inputs: Any, path: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        torch.onnx.export(
            encoder,
            (inputs,),
            str(path),
            input_names=["in"],
            output_names=["tokens"],
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        wanted = encoder(inputs).numpy()
    graph = onnx.load(path)
    assert {entry.version for entry in graph.opset_import if not entry.domain} == {18}
    assert {node.op_type for node in graph.graph.node} <= PARSED
    if importlib.util.find_spec("tensorrt_rtx_bindings"):
        check_built(path.read_bytes(), path.name)
        check_built(to_fp16(path.read_bytes()), f"{path.name} fp16")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(["tokens"], {"in": inputs.numpy()})[0])
    assert np.abs(found - wanted).max() < LARGEST_ERROR


def test_a_conformer_does_not_know_the_future() -> None:
    """Its states up to a moment are the same, whatever follows."""
    encoder, spec = made(("audio", "conformer", {}))
    sound = noise(spec)
    changed = sound.clone()
    changed[:, :, 60:] += 3.0
    with torch.no_grad():
        before, after = encoder.states(sound), encoder.states(changed)
    differs = (before - after).abs().amax((0, 2)) > 1e-6
    n_steps = before.shape[1]
    first = n_steps - -(-(sound.shape[2] - 60) // 4)  # a step is four frames; the last ends at 98
    assert not differs[:first].any()
    assert differs[first:].all()


def test_stretches_of_a_text_come_in_reading_order() -> None:
    """A letter changes its own stretch most; one that is all padding is finite."""
    encoder, _ = made(("text", "transformer", {}))
    text = torch.full((1, 96), 98, dtype=torch.int32)
    changed = text.clone()
    changed[0, 90] = 120
    with torch.no_grad():
        differs = (encoder(text) - encoder(changed)).abs().amax(2)[0]
    assert int(differs.argmax()) == 7


@pytest.mark.parametrize("side_px", [17, 28, 33, 48, 97])
def test_a_picture_of_any_size_has_quarters(side_px: int) -> None:
    spec = spec_of("image", {"height_px": side_px, "width_px": 2 * side_px})
    for name in ("cnn", "mobilenet"):
        encoder = make_encoder("image", name, spec, WIDTH).eval()
        with torch.no_grad():
            assert encoder(noise(spec)).shape == (1, 4, WIDTH)


def test_a_picture_that_is_too_small_is_refused() -> None:
    with pytest.raises(EngineError, match="32 x 16 px: this encoder needs more than 16"):
        make_encoder("image", "cnn", spec_of("image", {"height_px": 16, "width_px": 32}), WIDTH)


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(EngineError, match=r"encoder .mobile. of image.*cnn, .*mobilenet"):
        tokens_of("image", "mobile")
