# Each target sets up .venv by itself. Debian packages for real devices and their tests: make system.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_FLAGS ?=
SCENES ?= 14000

.PHONY: setup demo test test-all test-tensorrt soak check bundle evaluate bench wheel image image-test system clean

setup: .venv/setup

.venv/setup: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[microphone,test]'
	touch $@

# torch makes bundles and is type-checked; the runtime never imports it.
.venv/train: .venv/setup
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

demo: setup
	$(BIN)/sensorium demo

# Tests of whole runs want the cores for themselves: one after the other.
test: setup
	$(BIN)/pytest --numprocesses 2 -m 'not slow' --ignore tests/system $(PYTEST_FLAGS)
	$(BIN)/pytest -m 'not slow' tests/system $(PYTEST_FLAGS)

test-all: .venv/train .venv/tensorrt
	$(BIN)/pytest --numprocesses 2 -m 'not slow' --ignore tests/system $(PYTEST_FLAGS)
	$(BIN)/pytest -m slow --ignore tests/system $(PYTEST_FLAGS)
	$(BIN)/pytest tests/system $(PYTEST_FLAGS)

# TensorRT without a GPU; make test-all runs it, too.
test-tensorrt: .venv/train .venv/tensorrt
	$(BIN)/pytest tests/engines/tensorrt tests/engines/test_engine.py tests/pipeline/test_building.py \
	    tests/pipeline/test_building_start.py tests/pipeline/test_agreement.py \
	    tests/system/test_building.py $(PYTEST_FLAGS)

.venv/tensorrt: .venv/setup
	$(BIN)/pip install --quiet --constraint constraints.txt cuda-bindings
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[tensorrt-rtx]'
	tests/engines/tensorrt/install-pycuda $(BIN)
	touch $@

# The long runs, by hand.
soak: setup
	$(BIN)/pip install --quiet atheris
	$(BIN)/pytest -s tests/system/test_soak.py --soak-minutes 30
	$(BIN)/pytest -s tests/system/test_ring_chaos.py --kills 2000
	$(BIN)/pytest -s tests/system/test_kills.py --run-kills 200 --timeout 3600
	$(BIN)/pytest -s tests/system/test_real_input.py --real-seconds 120
	$(BIN)/python -m tests.fuzz_wire -max_total_time=600
	$(BIN)/sensorium chaos deploy/chaos/short.toml --minutes 10

check: .venv/train
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bundle: .venv/train
	$(BIN)/sensorium train --scenes $(SCENES) --out engines/bundles/home

evaluate: setup
	$(BIN)/sensorium evaluate --scenes 1000

bench: setup
	$(BIN)/sensorium bench camera
	$(BIN)/sensorium bench transport
	$(BIN)/sensorium bench readers --runs 5
	$(BIN)/sensorium bench log
	$(BIN)/sensorium bench record

wheel: setup
	$(BIN)/python -m build --wheel

# IMAGE_BASE=sensorium-base is what deploy/container/local-base makes.
image: wheel
	buildah bud --format docker $(if $(IMAGE_BASE),--build-arg BASE=$(IMAGE_BASE)) \
	    --file deploy/container/Containerfile --tag sensorium .

# Debian's mirror, root, and three minutes: not a part of test-all.
image-test: .venv/train
	$(BIN)/pytest --images tests/system/test_image.py $(PYTEST_FLAGS)

system:
	apt-get update
	apt-get install --yes --no-install-recommends libportaudio2 alsa-utils pulseaudio pulseaudio-utils \
	    libasound2-plugins espeak-ng sox ffmpeg python3-gi gir1.2-gst-rtsp-server-1.0 \
	    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
	    gstreamer1.0-plugins-ugly gstreamer1.0-libav iproute2 nftables tcpdump mosquitto \
	    prometheus openssl systemd python3-opencv buildah mmdebstrap

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
