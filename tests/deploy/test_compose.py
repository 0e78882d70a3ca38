"""The compose file: read by a real parser, and in accord with the image that it starts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CONTAINER = Path(__file__).parents[2] / "deploy" / "container"


def test_the_hub_is_checked_bounded_and_given_its_devices() -> None:
    hub: dict[str, Any] = YAML(typ="safe").load(CONTAINER / "compose.yaml")["services"]["hub"]
    image = (CONTAINER / "Containerfile").read_text("utf-8")
    assert f"HEALTHCHECK --interval={hub['healthcheck']['interval']}" in image
    assert "CMD " + json.dumps(hub["healthcheck"]["test"][1:]) in image
    (config,) = re.findall(r'CMD \["run", "(.+)"\]', image)
    assert any(volume.endswith(f":{config}:ro") for volume in hub["volumes"])
    assert f"--uid {re.findall(r'uid=([0-9]+)', str(hub['tmpfs']))[0]} " in image
    assert "/dev/snd" in hub["devices"]
    assert hub["cap_drop"] == ["ALL"] and hub["read_only"] and hub["mem_limit"]
