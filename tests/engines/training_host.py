"""One of several processes that train together: writes its weights into the folder in argv."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from engines.training.train import train
from tests.engines.training_data import tiny_examples, tiny_plan


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    told: list[str] = []
    model = train(
        tiny_examples(64), tiny_plan(), lambda progress: told.append(str(progress)), folder / "run"
    )
    rank = os.environ["RANK"]
    torch.save(model.state_dict(), folder / f"{rank}.pt")
    (folder / f"{rank}.txt").write_text("\n".join(told))


if __name__ == "__main__":
    main()
