# make demo: rank the shipped sources on handwritten digits.
# make check: lint, types and the tests that are quick.  make test: the same with all tests.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo lint check test durability clean

demo: .venv/installed
	$(BIN)/featalign demo --html examples/demo-report.html

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

check: lint
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

test: lint
	$(BIN)/pytest -n 2 --dist loadfile

durability: .venv/tested  # hours: see tests/durability/README.md
	FEATALIGN_DURABILITY=long $(BIN)/pytest tests/durability -n 2 --dist loadfile

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("featalign needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps --upgrade --target .venv/beside timm torchvision
	touch $@

clean:
	rm -rf .venv
