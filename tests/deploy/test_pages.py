"""Every link between the pages leads somewhere, and every command on them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "deploy").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_every_command_on_a_page_exists() -> None:
    said = {
        name
        for page in PAGES
        for name in re.findall(r"(?m)(?:^|[`$] ?|bin/)sensorium ([a-z][a-z-]+)\b", page.read_text())
    }
    assert said <= set(COMMANDS), said - set(COMMANDS)
    assert said, "no command was found on any page"


def test_every_command_stands_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert not [
        name for name in COMMANDS if f"sensorium {name}" not in text and f"`{name}" not in text
    ]
