"""Who may lie: Bayes' rule, against counting all that could have been shown."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="needs the extra: train")

from engines.fusion.conflict import odds_of_a_liar  # noqa: E402
from engines.fusion.entry import Sizes  # noqa: E402
from engines.fusion.fusion import Fusion  # noqa: E402
from engines.fusion.reliability import Reliability  # noqa: E402


def by_counting(posteriors: npt.NDArray[np.float64], liar: int) -> float:
    """The likelihood of what is shown if this one shows another class; up to a constant.

    Every class that each modality may show is gone through, with how often it shows that.
    """
    n_modalities, n_classes = posteriors.shape
    total = 0.0
    for truth in range(n_classes):
        for shown in product(range(n_classes), repeat=n_modalities):
            share = 1.0 / n_classes
            for m, what in enumerate(shown):
                honest = float(what == truth)
                lying = float(what != truth) / (n_classes - 1)
                share *= (lying if m == liar else honest) * posteriors[m, what]
            total += share
    return total


@pytest.mark.parametrize(("n_modalities", "n_classes"), [(2, 2), (3, 4)])
def test_the_odds_are_those_of_going_through_all_that_could_be(
    n_modalities: int, n_classes: int
) -> None:
    rng = np.random.default_rng(n_classes)
    posteriors = rng.dirichlet(np.ones(n_classes), n_modalities)
    found = odds_of_a_liar(torch.from_numpy(posteriors).log()[None])[0]
    honest = by_counting(posteriors, liar=-1)
    expected = [np.log(by_counting(posteriors, m) / honest) for m in range(n_modalities)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_who_contradicts_two_that_agree_is_distrusted() -> None:
    sure = torch.full((3, 10), 0.01)
    sure[[0, 1, 2], [4, 4, 7]] = 0.91
    odds = odds_of_a_liar(sure.log()[None])[0]
    assert odds[2] > 2.0 > 0.0 > odds[0]
    assert odds[0] == odds[1]


def test_who_knows_nothing_and_who_is_all_too_sure_give_finite_odds() -> None:
    nothing = torch.full((1, 2, 5), 0.2).log()
    assert odds_of_a_liar(nothing).abs().max() < 1e-6
    certain = torch.log_softmax(torch.eye(5)[None, :2] * 1e4, 2)
    for dtype in (torch.float32, torch.float16):
        assert torch.isfinite(odds_of_a_liar(certain.to(dtype))).all()
    # Three that are each sure of another class: nothing of their product is left in 32 bits.
    torn = torch.log_softmax(80.0 * torch.eye(5)[None, :3], 2)
    assert torch.isfinite(odds_of_a_liar(torn)).all()
    one_output = torch.zeros(1, 3, 1)
    assert torch.isfinite(odds_of_a_liar(one_output)).all()


@pytest.mark.parametrize(
    ("classes", "trusted"), [(slice(4), False), (slice(4, 8), True), (None, True)]
)
def test_reliability_gives_less_weight_to_who_contradicts_in_the_main_head(
    classes: slice | None, *, trusted: bool
) -> None:
    torch.manual_seed(0)
    fusion = Fusion("reliability", Sizes(8, 3, 8, classes)).eval()
    method = fusion.method
    assert isinstance(method, Reliability)
    with torch.no_grad():
        method.judge.weight[:] = 6.0 * torch.eye(8)
        method.gate[0].weight.zero_()  # type: ignore[operator]
        for parameter in (*fusion.entry.kind.parameters(), *fusion.entry.age.parameters()):
            parameter.zero_()
    tokens = torch.eye(8)[[1, 1, 3]] + torch.eye(8)[[5, 5, 5]]
    slots = (tokens[None], torch.arange(3)[None], torch.zeros(1, 3), torch.ones(1, 3))
    with torch.no_grad():
        _, weight = fusion.logits(*slots)
    assert (float(weight[0, 2]) > 0.9 * float(weight[0, 0])) == trusted
    assert (float(weight[0, 2]) < 0.5 * float(weight[0, 0])) != trusted
