# Environments from lock files: ours, one for the programs that the tests run beside us, and one for the plots.
PYTHON ?= python3
PIP_FLAGS = --quiet --disable-pip-version-check --no-input
export PIP_ROOT_USER_ACTION = ignore

PYTEST ?= -n auto

# What the end-to-end tests run beside us.
E2E_PACKAGES = postgresql systemd \
  cyrus-imapd cyrus-caldav sasl2-bin libsasl2-modules davical libapache2-mod-php sogo memcached \
  postfix dovecot-core dovecot-lmtpd dovecot-sieve procmail maildrop libevent-2.1-7 libgnutls-dane0 libidn12 libnsl2
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: demo test check e2e fuzz storm mutation bench profile lock clean

demo: .venv/ready .venv-servers/ready
	.venv/bin/imipd demo --radicale .venv-servers/bin/radicale $(DEMO)

test: .venv/ready .venv-servers/ready
	.venv/bin/pytest -m "not e2e" $(PYTEST)

check: .venv/ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/pytest -q tests/test_walls.py

e2e: .venv/ready .venv-servers/ready
	$(SUDO) tests/e2e/install $(E2E_PACKAGES)
	$(SUDO) .venv/bin/pytest -m e2e $(PYTEST) --dist loadgroup

# Outside CI: ten minutes of mutated mails through the whole path, and mutants of the core (half an hour).
SECONDS = 600
fuzz: .venv/ready
	PYTHONPATH=tests .venv/bin/python -m fuzz $(SECONDS)

storm: .venv/ready .venv-servers/ready
	PYTHONPATH=tests .venv/bin/python -m storm

mutation: .venv-mutation/ready
	.venv-mutation/bin/mutmut run

# Outside CI: docs/bench. FULL=1 adds servers and sizes, ONLY=plain,radicale leaves the rest out. What cannot be
# installed is not measured, and the report says so.
BENCH_PACKAGES = cyrus-imapd cyrus-caldav sasl2-bin libsasl2-modules \
  $(if $(FULL),postgresql davical libapache2-mod-php sogo memcached)
BENCH = $(SUDO) env PYTHONPATH=$(CURDIR)/tests .venv/bin/python -m
bench: .venv/ready .venv-servers/ready .venv-bench/ready
	-$(SUDO) tests/e2e/install $(BENCH_PACKAGES)
	$(BENCH) bench $(if $(FULL),--full) $(if $(ONLY),--only "$(ONLY)")

profile: .venv/ready .venv-servers/ready .venv-bench/ready
	$(BENCH) bench.profile $(PROFILE)

lock:
	.venv/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 pyproject.toml --extra postgresql -o requirements.lock
	.venv/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 pyproject.toml --group dev -o requirements-dev.lock
	.venv/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 --group servers -o tests/servers.lock
	.venv/bin/uv pip compile -q --generate-hashes --universal --python-version 3.11 --group bench -o bench/requirements.lock

clean:
	rm -rf .venv .venv-servers .venv-mutation .venv-bench mutants

.venv/ready: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install $(PIP_FLAGS) --require-hashes -r requirements-dev.lock
	.venv/bin/pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	touch $@

.venv-servers/ready: tests/servers.lock
	$(PYTHON) -m venv .venv-servers
	.venv-servers/bin/pip install $(PIP_FLAGS) --require-hashes -r $<
	touch $@

.venv-bench/ready: bench/requirements.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install $(PIP_FLAGS) --require-hashes -r $<
	touch $@

.venv-mutation/ready: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv .venv-mutation
	.venv-mutation/bin/pip install $(PIP_FLAGS) --require-hashes -r requirements-dev.lock
	.venv-mutation/bin/pip install $(PIP_FLAGS) mutmut==3.8.1
	.venv-mutation/bin/pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	touch $@
