# Two commands from a bare machine with Python 3.11 to 3.13, pip, make and git:
#   make demo    sets up and runs the whole loop on the embedded digits
#   make test    sets up and passes the tests
# make pretend runs the tests of the GPU path, without a GPU: see tests/pretend/README.md.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: setup demo test pretend check lock clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable ".[hf,onnx,timm,tensorboard]" --group dev
	touch $@

demo: setup
	$(BIN)/advgan demo

test: setup
	$(BIN)/python -m pytest -n auto

# Two processes, as many as cores; the tests of a file share what was trained for them.
pretend: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m pretend tests/pretend

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

# Needs uv. Takes torch and torchvision as a pair, which PyPI's other torch builds are not.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --extra hf --extra onnx --extra timm --extra tensorboard --group dev \
		--no-annotate --no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV)
