# make demo: export, verify and measure the released model; ends with the page's path.
# make test: linters, type checkers, then every test but those that emulate.
# make test-arm64: the tests that run on an emulated Raspberry Pi.
# make native: bench-depth-native for a Pi, cross compiled. make image: the arm64 image, without Docker.
# All set up .venv by themselves, once; only python3.11, make and a compiler must be there.

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed

export OMP_WAIT_POLICY := passive

.PHONY: demo test test-arm64 native image lint format clean

demo: $(INSTALLED)
	$(BIN)/ghostdepth demo

# Two at a time, each on one thread; a file's tests stay together, for they share what it makes.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov

test-arm64: $(INSTALLED)
	$(BIN)/python -m pytest tests/arm64

native: $(INSTALLED)
	$(BIN)/python -m ghostdepth_export.ship.native build/native-aarch64

image: $(INSTALLED)
	$(BIN)/python -m ghostdepth_export.ship.image build/bench-depth-arm64.tar

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright -p device
	$(BIN)/shellcheck .ci/run $(shell find export -name '*.sh')

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv .cache build runs

# torch comes first and alone: a plain `torch` requirement would pull gigabytes of GPU libraries.
$(INSTALLED): pyproject.toml device/pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip==26.0
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ./device -e '.[dev]'
	touch $@
