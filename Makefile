# Two environments from two lock files: ours, and one for the GPL calendar servers that run beside us.
PYTHON ?= python3
PIP_FLAGS = --quiet --disable-pip-version-check --no-input
export PIP_ROOT_USER_ACTION = ignore

.PHONY: demo test check e2e lock clean

demo: .venv/ready .venv-servers/ready
	.venv/bin/imipd demo --radicale .venv-servers/bin/radicale $(DEMO)

test: .venv/ready .venv-servers/ready
	.venv/bin/pytest -m "not e2e" $(PYTEST)

check: .venv/ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/pytest -q tests/test_walls.py

lock:
	.venv/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 pyproject.toml --extra postgresql -o requirements.lock
	.venv/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 pyproject.toml --group dev -o requirements-dev.lock
	.venv/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 --group servers -o tests/servers.lock

clean:
	rm -rf .venv .venv-servers

.venv/ready: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install $(PIP_FLAGS) --require-hashes -r requirements-dev.lock
	.venv/bin/pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	touch $@

.venv-servers/ready: tests/servers.lock
	$(PYTHON) -m venv .venv-servers
	.venv-servers/bin/pip install $(PIP_FLAGS) --require-hashes -r $<
	touch $@
