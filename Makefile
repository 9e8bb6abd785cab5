# make demo    build into .venv, find the digits on the shipped picture, write demo/demo.png
# make test    build, then run all tests (those on ARM too where cross compiler and QEMU are installed)
# make wheels  wheels for 64-bit ARM boards into dist/ (docs/arm.md)
# make test-arm  tests from the installed wheel on emulated boards (docs/arm.md)
# make sanitize   the C++ tests under sanitizers: minutes
# make fuzz SECONDS=60   invented files for all that reads files: six targets, so long each
# make soak MINUTES=30    models that come and go, bad input, full disks, signals, forks (docs/safety.md)
# make image PLATFORM=linux/arm64   the image, without a registry, and the benchmark run in it (docs/arm.md)
# make check   style, types, formatting
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(shell find csrc -type f)

.PHONY: demo test test-arm image sanitize fuzz soak wheels check format clean

demo: $(VENV)/.demo
	$(BIN)/edgecnn detect models/demo.png --model digits --boxes --save demo

test: $(VENV)/.dev
	$(BIN)/pytest

wheels:
	$(PYTHON) docker/wheels.py

test-arm:
	$(PYTHON) docker/suite.py $(ARM)

PLATFORM ?= linux/arm64
image:
	$(PYTHON) docker/image.py --platform $(PLATFORM)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $$(git ls-files 'csrc/*.h' 'csrc/*.cc' 'csrc/*.hpp' 'bench/*.cc' 'bench/*.h' 'examples/*.c' 'examples/*.cc')

sanitize: $(VENV)/.dev
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/python tests/sanitize.py

SECONDS ?= 60
fuzz: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check 'atheris>=2.3'
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/python tests/fuzz/run.py --seconds $(SECONDS)

MINUTES ?= 30
soak: $(VENV)/.dev
	$(BIN)/python tests/endurance.py --minutes $(MINUTES)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(git ls-files 'csrc/*.h' 'csrc/*.cc' 'csrc/*.hpp' 'bench/*.cc' 'bench/*.h' 'examples/*.c' 'examples/*.cc')

clean:
	rm -rf $(VENV) build demo dist edgecnn/_core*.so *.egg-info

# pip is left as the machine has it; an editable install builds the C++ into build/ and edgecnn/_core*.so.
$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(SOURCES) | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e . Pillow
	touch $@

$(VENV)/.dev: $(SOURCES) | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	touch $@ $(VENV)/.demo
