# `make demo` and `make test` work on a fresh machine with Python ≥ 3.11, Rust ≥ 1.85 and a C linker.
# Both leave .venv/bin/stagedoor. It is built anew only when Rust sources changed; Python sources are used in place.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
RUST := $(shell find crates -name '*.rs' -o -name '*.toml') Cargo.toml Cargo.lock
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: build demo test test-rust test-python test-tools fuzz soak lint bench docs verify lock clean

build: .venv/.built

demo: .venv/.built    ## TOUR=1 ends after the tour
	$(BIN)/stagedoor demo $(if $(TOUR),--tour)

test: test-rust test-python

test-rust: .venv/.tools
	cargo test --quiet --workspace --exclude stagedoor-python

# Most tests wait for processes, so two at a time take half as long even on one core; those of a file share what they started.
test-python: .venv/.built .venv/.tools    ## TESTS=tests/config runs those alone; JOBS=1 one after another
	$(BIN)/python -m pytest --quiet -n $(or $(JOBS),2) --dist loadfile $(TESTS)

# Command:package.
TEST_TOOLS := lighttpd:lighttpd nginx:nginx-light curl:curl nghttp:nghttp2-client h2load:nghttp2-client go:golang-go openssl:openssl nats-server:nats-server node:nodejs npm:npm
test-tools:    ## installs with apt and npm what tests of real clients and providers need; without it they are skipped
	@missing=$$(for tool in $(TEST_TOOLS); do command -v $${tool%%:*} >/dev/null || echo $${tool##*:}; done | sort -u); \
	if [ -n "$$missing" ]; then \
	    root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	    $$root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$root apt-get install -y -qq --no-install-recommends $$missing; \
	fi
	for tests in oidc http_cache; do npm ci --prefix tests/$$tests --ignore-scripts --no-audit --no-fund --loglevel error || exit 1; done

fuzz:    ## damaged requests and answers for FUZZ_SECONDS; FUZZ_SEED repeats a failure
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) cargo test --quiet --package stagedoor-dataplane --test all fuzz:: -- --nocapture

soak: .venv/.built .venv/.tools    ## a thousand orders while the gateway is killed fifty times, in a few minutes; SOAK="--orders N --kills N --seed N"
	$(BIN)/python tests/system/soak.py $(SOAK)

lint: .venv/.built .venv/.tools
	cargo fmt --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --allowlist crates/python/stubtest-allowlist.txt stagedoor._core

bench: .venv/.built    ## needs Debian's nginx-light, haproxy, wrk and nghttp2-client, and a quiet machine; SUBJECTS="http2 tls" measures those alone
	$(PIP) install --requirement benchmarks/requirements.lock
	$(BIN)/python -m benchmarks.run $(SUBJECTS)

docs: .venv/.built .venv/.tools    ## write the tables of options anew
	REGENERATE=1 $(BIN)/python -m pytest --quiet tests/test_docs.py

verify: lint test    ## what CI runs

# What `make demo` needs, and on top of it what the other targets need: exact versions.
.venv/.python: requirements.lock
	@command -v cargo >/dev/null || { echo 'cargo is missing: install Rust 1.85 or later' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or later is needed: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'the module venv is missing: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) install --requirement requirements.lock
	@touch $@

.venv/.tools: requirements-dev.lock .venv/.python
	$(PIP) install --requirement requirements-dev.lock
	@touch $@

.venv/.built: $(RUST) pyproject.toml .venv/.python
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# Versions that the next release is built and tested with: in an environment of its own, from pyproject.toml alone.
lock:
	rm -rf .venv/lock && $(PYTHON) -m venv .venv/lock
	.venv/lock/bin/pip install --quiet 'pip>=25.1'
	.venv/lock/bin/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *p["optional-dependencies"]["demo"], "maturin>=1.9,<2", sep="\n")' > .venv/lock/wanted
	.venv/lock/bin/pip install --quiet --requirement .venv/lock/wanted
	.venv/lock/bin/pip freeze > requirements.lock
	.venv/lock/bin/pip install --quiet --group dev --constraint requirements.lock
	.venv/lock/bin/pip freeze > requirements-dev.lock
	rm -rf .venv/lock

clean:
	rm -rf .venv target python/stagedoor/_core*.so
