# What a person types. Every target installs what it needs on Debian with a Rust toolchain.

# Dependencies compile once per machine, not once per clone.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/taospg/target
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/taospg/tools
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
TAOSPG := $(CARGO_TARGET_DIR)/release/taospg
TAOSPG_BENCH := $(CARGO_TARGET_DIR)/release/taospg-bench
PEERS := $(TOOLS)/peers
BENCH_PEERS := --python $(PEERS)/bin/python --questdb $(PEERS)/questdb.jar
QUESTDB := 9.3.4

.PHONY: run build test prove suites check lint demo bench bench-full bench-gate bench-peers bless build-needs test-needs

## make run: build and serve on 127.0.0.1:5432 with the data in ./data
run: build
	$(TAOSPG) $(ARGS)

# Always the whole workspace: a part of it would compile the dependencies again with other features.
build: build-needs
	cargo build --release --workspace

## make test: every test, which is all that CI does
test: build test-needs
	TAOSPG_TOOLS=$(TOOLS) cargo test --release --workspace

## make prove: the scenario of all drivers against PostgreSQL too, where it is installed
prove: build test-needs
	TAOSPG_TOOLS=$(TOOLS) TAOSPG_PROVE=1 cargo test --release --workspace --test drivers

## make suites: drivers' own test suites; the lists of what is known to fail may only shrink
suites: build test-needs
	python3 integration-tests/suites/run.py $(TAOSPG) $(TOOLS)

## make check: what comes before a commit
check: lint
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

lint: build-needs
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --quiet -- --deny warnings

## make demo: load real sensor data into a server of its own, ask a few questions
demo: build test-needs
	demo/run.sh $(TAOSPG)

## make bench: the short comparison with the systems that are installed; BENCH="--systems taospg --rows 2000000" changes it
bench: build
	$(TAOSPG_BENCH) run --server $(TAOSPG) $(BENCH_PEERS) $(BENCH)

## make bench-full: the tables of docs/benchmarks.md, medians of five, for hours, on a machine that does nothing else
bench-full: build bench-peers
	$(TAOSPG_BENCH) run --full --markdown --json bench-full.json --server $(TAOSPG) $(BENCH_PEERS) $(BENCH)

## make bench-gate: the server's CPU seconds for a minute of work beside bench/baseline.json; BENCH=--record makes that file anew
bench-gate: build
	$(TAOSPG_BENCH) gate --server $(TAOSPG) $(BENCH)

## make bench-peers: DuckDB, ClickHouse and, for a Java of 17 or newer, QuestDB, which `make bench` then finds
bench-peers:
	@test -x $(PEERS)/bin/python || python3 -m venv $(PEERS)
	@$(PEERS)/bin/python -c 'import duckdb, chdb, pyarrow' 2>/dev/null || $(PEERS)/bin/python -m pip install --quiet duckdb==2.0.0 chdb==4.4.0 pyarrow==26.0.1
	@test -e $(PEERS)/questdb.jar || curl --silent --show-error --fail --output $(PEERS)/questdb.jar \
		https://repo1.maven.org/maven2/org/questdb/questdb/$(QUESTDB)/questdb-$(QUESTDB).jar

## make bless: record the answers of the SQL scripts; read the diff like code
bless: build
	TAOSPG_BLESS=1 cargo test --release --workspace --test sql

# libclang: RocksDB's bindings are generated with it. g++: RocksDB itself.
build-needs:
	@missing=""; \
	command -v g++ >/dev/null || missing="$$missing g++"; \
	ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1 || missing="$$missing libclang-dev"; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq $$missing >/dev/null; fi

# psql, and the drivers at pinned versions. Java, Go and their drivers are used where they are.
test-needs:
	@missing=""; \
	command -v psql >/dev/null || missing="$$missing postgresql-client"; \
	command -v python3 >/dev/null || missing="$$missing python3"; \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	command -v npm >/dev/null || missing="$$missing nodejs npm"; \
	ls /usr/lib/*/odbc/psqlodbcw.so >/dev/null 2>&1 || missing="$$missing odbc-postgresql"; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq $$missing >/dev/null; fi
	@integration-tests/drivers/install.sh $(TOOLS)
