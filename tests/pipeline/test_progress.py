"""A bar for who watches, and silence for who does not."""

from __future__ import annotations

import os
import pty
import sys
import time

import pytest

from pipeline.progress import progress


def test_nothing_is_written_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("replaying", 10) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with progress("replaying", 10) as advance:
            advance(10)
            shown, until_s = "", time.monotonic() + 10
            while "100%" not in shown and time.monotonic() < until_s:
                shown += os.read(ours, 2**16).decode(errors="replace")  # waits for the next
    os.close(ours)
    assert "replaying" in shown
    assert "100%" in shown
