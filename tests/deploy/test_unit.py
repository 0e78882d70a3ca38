"""systemd units: what is written, for whom, and what systemd itself says of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.unit import check_readable, command, install, unit
from pipeline.error import ConfigError
from tests.parts import needs
from tests.system.run import SIMULATED, sensorium

MAX_EXPOSURE = 3.0  # of `systemd-analyze security`; 10 is everything, 2 is what a camera allows
HUB = SIMULATED.replace("[out]", "[fusion]\ntick_hz = 10\n[out]")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "hub.toml"
    path.write_text(HUB)
    return path


def test_a_unit_of_the_system_runs_the_file_as_a_user_of_its_own(config: Path) -> None:
    made = unit(config)
    lines = made.text.splitlines()
    assert made.path == Path("/etc/systemd/system/sensorium-home.service")
    assert f"ExecStart={command()} run {config} --set run_dir=/run/sensorium/home" in lines
    expected = {"Type=notify", "NotifyAccess=all", "WatchdogSec=20", "Restart=on-failure"}
    expected |= {"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict"}
    expected |= {"RuntimeDirectory=sensorium/home", "StateDirectory=sensorium-home"}
    assert expected <= set(lines)
    assert "@" not in made.text.replace("@system-service", "")


def test_another_name_is_another_run(config: Path) -> None:
    made = unit(config, name="attic", is_user=True)
    assert made.path.name == "sensorium-attic.service"
    assert f"ExecStart={command()} run {config} --set name=attic\n" in made.text
    assert "systemctl --user enable --now sensorium-attic" in made.next_steps


def test_a_path_with_odd_characters_is_quoted(tmp_path: Path) -> None:
    odd = tmp_path / 'my "100%" $hub'
    odd.mkdir()
    path = odd / "hub.toml"
    path.write_text(HUB)
    quoted = str(path).replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    assert f'run "{quoted}"' in unit(path, is_user=True).text


def test_a_file_that_the_service_cannot_read_is_an_error(config: Path) -> None:
    config.chmod(0o600)
    with pytest.raises(ConfigError, match="closed to other users"):
        check_readable(config)
    check_readable(Path("/etc/passwd"))


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('jsonl = "/srv/p.jsonl"', "out.jsonl"),
        ('jsonl = "../p.jsonl"', "out.jsonl"),
        ('[incident]\ndirectory = "/var/lib/incidents"', "incident.directory"),
        ('[record]\nfile = "/home/a.mcap"', "record.file"),
    ],
)
def test_outputs_lie_where_the_service_may_write(config: Path, table: str, key: str) -> None:
    config.write_text(HUB.replace('jsonl = "-"', table))
    with pytest.raises(ConfigError, match=f"{key}.*below /var/lib/sensorium-home only"):
        unit(config)
    config.write_text(HUB.replace('jsonl = "-"', '[incident]\ndirectory = "incidents"'))
    assert "StateDirectory=sensorium-home sensorium-home/incidents\n" in unit(config).text


def test_only_our_own_files_are_replaced(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = unit(config, is_user=True)
    install(made)
    install(made)
    assert made.path.read_text() == made.text
    made.path.write_text("[Unit]\n")
    with pytest.raises(ConfigError, match="is not ours"):
        install(made)


@pytest.mark.parametrize("option", [[], ["--user"]], ids=["system", "user"])
def test_systemd_accepts_every_line(config: Path, tmp_path: Path, option: list[str]) -> None:
    needs("systemd-analyze")
    shown = sensorium(tmp_path, "install-service", str(config), "--print", *option)
    assert shown.returncode == 0, shown.stderr
    path = tmp_path / "sensorium-home.service"
    path.write_text(shown.stdout)
    verify = ["systemd-analyze", "verify", "--recursive-errors=yes", *option, str(path)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    checked = subprocess.run(verify, capture_output=True, text=True, env=environment, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    # The check is a strict one: a key that does not exist is found.
    path.write_text(shown.stdout.replace("WatchdogSec", "WatchdogSecs"))
    assert subprocess.run(verify, capture_output=True, env=environment, check=False).returncode


def test_the_hardening_is_what_devices_allow(config: Path, tmp_path: Path) -> None:
    needs("systemd-analyze")
    path = tmp_path / "sensorium-home.service"
    path.write_text(unit(config).text)
    rate = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    rate += [f"--threshold={round(MAX_EXPOSURE * 10)}", str(path)]
    done = subprocess.run(rate, capture_output=True, text=True, check=False)
    sys.stderr.write(done.stdout.splitlines()[-1] + "\n")
    assert done.returncode == 0


def test_the_command_writes_and_starts_nothing(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    done = sensorium(tmp_path, "install-service", str(config), "--user")
    assert done.returncode == 0, done.stderr
    assert "nothing was started" in done.stdout
    assert (tmp_path / "config" / "systemd" / "user" / "sensorium-home.service").is_file()
