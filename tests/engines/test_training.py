"""Training: the same order and figures after a kill, a fold that is never learned from, and data
that nobody can learn from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.error import EngineError  # noqa: E402
from engines.example import Example  # noqa: E402
from engines.model import FusionModel, draft_specs  # noqa: E402
from engines.training.hosts import Hosts  # noqa: E402
from engines.training.order import epoch_order, split_fold  # noqa: E402
from engines.training.progress import Progress  # noqa: E402
from engines.training.screen import screened  # noqa: E402
from engines.training.train import Training, train, train_with_rival  # noqa: E402
from tests.engines.training_data import tiny_examples, tiny_plan  # noqa: E402

ALONE = Hosts(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """More of them wait for each other at such sizes."""
    torch.set_num_threads(1)


class KilledError(Exception):
    """Stands for the end of the process."""


def kill_at(n: int) -> object:
    seen = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == n:
            raise KilledError

    return report


def weights(model: FusionModel) -> np.ndarray:
    return np.concatenate([value.float().numpy().ravel() for value in model.state_dict().values()])


@pytest.mark.parametrize("epochs_done", [1, 3])
def test_a_training_that_was_killed_ends_as_an_unbroken_one(
    tmp_path: Path, epochs_done: int
) -> None:
    plan, data = tiny_plan(epochs=3), tiny_examples(48)
    whole = train(data, plan)
    with pytest.raises(KilledError):
        train(data, plan, kill_at(epochs_done), tmp_path)  # type: ignore[arg-type]
    orders: list[tuple[str, int]] = []
    training = Training(data, plan, ALONE, lambda _: None, tmp_path)
    training.course.on_epoch = lambda stage, epoch, order: orders.append((stage, epoch))
    resumed, _ = training.finish()
    stages = ["alone-text", "alone-readings", *["fused"] * 3]
    epochs = [0, 0, 0, 1, 2]
    assert orders == list(zip(stages, epochs, strict=True))[epochs_done:]
    np.testing.assert_array_equal(weights(resumed), weights(whole))


def test_the_order_is_a_function_of_the_seed_and_the_epoch() -> None:
    assert epoch_order(50, 1, 2).equal(epoch_order(50, 1, 2))
    assert not epoch_order(50, 1, 2).equal(epoch_order(50, 1, 3))
    assert not epoch_order(50, 1, 2).equal(epoch_order(50, 2, 2))
    assert epoch_order(50, 1, 2).sort().values.equal(torch.arange(50))


def test_the_fold_is_never_learned_from() -> None:
    plan, data = tiny_plan(fold=0.25), tiny_examples(48)
    learned, held = split_fold(48, 0.25, plan.train.seed)
    assert sorted([*learned.tolist(), *held.tolist()]) == list(range(48))
    assert len(held) == 12
    training = Training(data, plan, ALONE)
    for modality in ("text", "readings"):
        rows = training.course.fold.inputs[modality]
        wanted = np.concatenate([data[int(n)].inputs[modality] for n in held])
        np.testing.assert_array_equal(rows.numpy(), wanted)
    assert training.course.n_rows == 36


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    data = tiny_examples(32)
    train(data, tiny_plan(epochs=1, unimodal_epochs=0), folder=tmp_path)
    with pytest.raises(EngineError, match="another configuration"):
        train(data, tiny_plan(epochs=2, unimodal_epochs=0), folder=tmp_path)
    (tmp_path / "fused.pt").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="damaged"):
        train(data, tiny_plan(epochs=1, unimodal_epochs=0), folder=tmp_path)


def test_what_encoders_learned_alone_serves_every_fusion(tmp_path: Path) -> None:
    data, other = tiny_examples(32), msgspec.structs.replace(tiny_plan(epochs=1), fusion="gated")
    whole = train(data, other)
    train(data, tiny_plan(epochs=1), folder=tmp_path)
    (tmp_path / "fused.pt").unlink()
    told: list[Progress] = []
    shared = train(data, other, told.append, tmp_path)
    assert [progress.stage for progress in told] == ["fused"]
    np.testing.assert_array_equal(weights(shared), weights(whole))


def test_it_stops_when_the_fold_gets_no_better() -> None:
    told: list[Progress] = []
    plan = tiny_plan(epochs=40, unimodal_epochs=0, patience=2, rate=0.2, fold=0.3)
    train(tiny_examples(40, wrong=0.5), plan, told.append)
    assert 2 < len(told) < 40


def test_progress_counts_the_steps_of_all_stages() -> None:
    told: list[Progress] = []
    _, rival = train_with_rival(tiny_examples(40), tiny_plan(teachers=1), told.append)
    assert rival is not None
    assert [p.stage for p in told] == [
        "teacher-0-alone-text",
        "teacher-0-alone-readings",
        *["teacher-0-fused"] * 2,
        *["fused"] * 2,
    ]
    assert [p.step for p in told] == sorted(p.step for p in told)
    assert told[-1].step == told[-1].total
    assert told[-1].left_s == 0.0
    assert all(np.isfinite(p.fold_loss) and p.left_s >= 0.0 for p in told)
    assert "epoch 2" in str(told[-1])


def test_examples_that_nobody_can_learn_from_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    good, *others = tiny_examples(5)
    nan = np.full((1, 4, 1), np.nan, np.float32)
    bad = [
        replace(others[0], inputs={**others[0].inputs, "readings": nan}),
        replace(others[1], inputs={**others[1].inputs, "text": np.zeros((1, 7), np.int32)}),
        Example(inputs={}, ages_s={}, targets={"truth": ("low",)}),
    ]
    specs = draft_specs(tiny_plan())
    sound, left_out = screened([good, *bad], specs)
    assert sound == [good]
    assert left_out == Counter(
        {
            "readings has values that are not finite": 1,
            "text is int32 (1, 7), not int32 (1, 6)": 1,
            "no modality that has an encoder": 1,
        }
    )
    with pytest.raises(EngineError, match="not finite"):
        screened(bad[:1], specs)
    train([*tiny_examples(16), *bad], tiny_plan(epochs=1, unimodal_epochs=0))
    assert "1 examples left out: readings has values that are not finite" in caplog.text


def test_a_label_that_the_model_does_not_have_is_refused() -> None:
    stranger = replace(tiny_examples(1)[0], targets={"truth": ("nowhere",)})
    with pytest.raises(EngineError, match="nowhere"):
        train([stranger], tiny_plan())


def test_training_lowers_the_loss_and_repeats_itself() -> None:
    def losses() -> list[float]:
        told: list[Progress] = []
        plan = tiny_plan(epochs=6, unimodal_epochs=0, rate=0.02, noise=0.0, augment=0.0)
        train(tiny_examples(64), plan, told.append)
        return [progress.loss for progress in told]

    first = losses()
    assert first[-1] < 0.7 * first[0]
    assert losses() == first


def test_losses_are_written_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs the extra: train")
    train(tiny_examples(32), tiny_plan(epochs=1, unimodal_epochs=0), folder=tmp_path)
    (events,) = (tmp_path / "events").iterdir()
    assert b"fused/fold_loss" in events.read_bytes()
