"""Skips are counted: with --unlisted-skips-fail one that tests/skips.toml does not list fails."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SKIPS = Path(__file__).parent / "skips.toml"
_reasons: dict[str, str] = {}


# A test run in the background of a shell ignores Ctrl-C, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--unlisted-skips-fail", action="store_true", help="see tests/skips.toml")
    parser.addoption("--real-seconds", type=float, default=24.0, help="length of real-input runs")
    parser.addoption("--kills", type=int, default=100, help="of the ring chaos test")
    parser.addoption("--run-kills", type=int, default=10, help="of whole runs")
    parser.addoption("--kill-seed", type=int, default=None, help="of their order; printed")
    parser.addoption("--soak-minutes", type=float, default=1.0, help="length of the soak test")
    parser.addoption(
        "--images", action="store_true", help="build the container image: make image-test"
    )
    parser.addoption("--update-golden", action="store_true", help="store new golden predictions")


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a short name: the path of a socket in it holds 107 bytes."""
    return tmp_path_factory.mktemp("t")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Images take minutes, root, and a mirror of Debian: only where they are asked for."""
    if collection_path.name == "test_image.py" and not config.getoption("--images"):
        return True
    return None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        _reasons[report.nodeid] = str(report.longrepr[2])


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not session.config.getoption("--unlisted-skips-fail"):
        return
    listed = list(tomllib.loads(SKIPS.read_text(encoding="utf-8")))
    for test, reason in _reasons.items():
        if not any(part in reason for part in listed):
            sys.stderr.write(f"\nskipped, and not listed in {SKIPS}: {test}: {reason}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
