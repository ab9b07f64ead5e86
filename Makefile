# make setup: everything in .venv. make demo: export, verify and measure the released model; ends
# with the page's path.
# make test: linters, type checkers, then every test but those that emulate.
# make coverage: the same tests, with the lines that they reach.
# make test-arm64: the tests that run on an emulated Raspberry Pi. make test-nightly: those of them
# that are left to the night, on Raspberry Pi OS Bookworm.
# make soak: an hour of hostile input, kills and full disks; SOAK='--minutes 10 --seed 7' for less.
# make models: every file of every released model to build/models, and the catalogue of their figures.
# make wheels: the wheels of bench-depth and ghostdepth in dist/.
# make native: bench-depth-native for a Pi, cross compiled. make image: the arm64 image, without Docker.
# make lock: requirements.lock, the pinned packages with their checksums, from pyproject.toml.
# All set up .venv by themselves, once; only python3.11, make and a compiler must be there.
#
# TORCH is the build of torch, as pip takes it: README has the lines for a CPU and for a GPU. Where
# none is given and pip would fetch the libraries for NVIDIA GPUs, gigabytes, set-up stops and asks.

PYTHON ?= python3.11
TORCH ?= torch==2.13.0
BIN := .venv/bin
INSTALLED := .venv/.installed

ifeq ($(origin TORCH)$(CI),file)
ASK_FOR_TORCH = @! $(BIN)/python -m pip install --quiet --dry-run --report - $(TORCH) \
	| grep -q '"name": "nvidia' || { echo "torch would come with gigabytes of GPU libraries;" \
	"choose its build: make setup TORCH=..., see README" >&2; exit 2; }
endif

export OMP_WAIT_POLICY := passive
# As pip compiles nothing here, what some images of containers set would compile all that is imported
# anew in every process: 2 s for torch, 20 s for an export.
unexport PYTHONDONTWRITEBYTECODE

SOAK ?= --results benchmarks/fuzz/results.csv

.PHONY: demo setup test coverage test-arm64 test-nightly roots soak models wheels native image lock lint
.PHONY: format clean

demo: $(INSTALLED)
	$(BIN)/ghostdepth demo

setup: $(INSTALLED)

# Two at a time, each on one thread; a file's tests stay together, for they share what it makes.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: lint
	$(PYTEST)

coverage: $(INSTALLED)
	$(PYTEST) --cov

# Groups of tests that share what they make, the longest first.
PYTEST_ARM64 := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --no-loadscope-reorder tests/arm64

test-arm64: $(INSTALLED)
	$(PYTEST_ARM64) -m "not nightly"

test-nightly: $(INSTALLED)
	$(PYTEST_ARM64) -m nightly

# The emulated machines of test-arm64, which are downloads mostly.
roots: $(INSTALLED)
	$(BIN)/python -c 'from ghostdepth_export.pi4.emulator import build_root; \
	[build_root(name) for name in ("bullseye", "trixie")]'

soak: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/fuzz/soak.py $(SOAK)

models: $(INSTALLED)
	$(BIN)/python benchmarks/models.py

wheels: $(INSTALLED)
	cd device && ../$(BIN)/python -m hatchling build -t wheel -d ../dist
	$(BIN)/python -m hatchling build -t wheel -d dist

native: $(INSTALLED)
	$(BIN)/python -m ghostdepth_export.ship.native build/native-aarch64

image: $(INSTALLED)
	$(BIN)/python -m ghostdepth_export.ship.image build/bench-depth-arm64.tar

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy & mypy=$$!; $(BIN)/pyright -p device; pyright=$$?; wait $$mypy && exit $$pyright
	$(BIN)/shellcheck .ci/run $(shell find export -name '*.sh')

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv .cache build runs

# The packages of requirements.lock have their checksums checked. torch has no line there: which
# build fits is up to the machine, and what depends on torch must not pull another one.
# Python compiles a module when it is first imported: compiling all 18,000 here takes two minutes.
$(INSTALLED): pyproject.toml device/pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip==26.0
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes --no-deps -r requirements.lock
	$(ASK_FOR_TORCH)
	$(BIN)/python -m pip install --quiet --no-compile $(TORCH)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e ./device -e .
	touch $@

# What torch itself needs is named, because torch and bench-depth are left out of the resolution.
# Pins that still fit stay; to take newer ones, remove requirements.lock first.
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv==0.13.9
	printf '%s\n' fsspec networkx setuptools sympy >build/lock/torch.in
	printf "%s; python_version < '0'\n" torch bench-depth >build/lock/left-out.txt
	build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-annotate --custom-compile-command 'make lock' --override build/lock/left-out.txt \
		--extra dev --extra mqtt --extra nyu --extra report --output-file requirements.lock \
		pyproject.toml device/pyproject.toml build/lock/torch.in
