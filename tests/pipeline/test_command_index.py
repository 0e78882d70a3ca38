"""The index of commands: each is there, and showing help loads none of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.arguments import parser
from pipeline.cli import COMMANDS, handler


def test_every_command_that_is_understood_has_a_handler() -> None:
    (commands,) = (action.choices for action in parser()._actions if action.choices)
    assert set(COMMANDS) == set(commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_handler_is_there(name: str) -> None:
    assert callable(handler(name))


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from pipeline.arguments import parser; import pipeline.cli;"
        "parser().format_help(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "msgspec", "zmq", "mcap", "cv2"} & set(done.stdout.split())
