# make run · make test · make check · make bench · make fuzz: each installs the Debian packages it misses, then does it.

CARGO ?= cargo
CONFIG ?= sems.toml

.PHONY: run build test check bench bench-sip fuzz sounds

# Build and serve; the first start makes demo accounts and says what to dial.
run: build
	$(CARGO) run --quiet --release -- serve --config $(CONFIG)

build:
	@tests/install.sh build
	@test -x target/release/sems || echo "the first build takes 3 to 8 minutes"
	$(CARGO) build --release

# Everything: units, documentation, loopback and black-box tests.
test:
	@tests/install.sh build test
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		echo $(CARGO) nextest run --workspace; $(CARGO) nextest run --workspace; \
	else \
		echo $(CARGO) test --workspace --all-targets; $(CARGO) test --workspace --all-targets; \
	fi
	$(CARGO) test --workspace --doc

# What must hold before a merge.
check:
	@tests/install.sh build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	$(CARGO) test --workspace --lib --bins
	$(CARGO) test --test layers
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		echo $(CARGO) deny check licenses bans sources; $(CARGO) deny check licenses bans sources || exit 1; \
		if $(CARGO) deny fetch db >/dev/null 2>&1; then \
			echo $(CARGO) deny check advisories; $(CARGO) deny check advisories; \
		else \
			echo "the database of advisories is out of reach: they are not checked"; \
		fi; \
	else \
		echo "cargo-deny is not installed: licences and advisories are not checked"; \
	fi

# What things cost. QUICK=1 takes less time and is less exact; SIPLOAD=path of the load generator measures whole calls.
bench:
	@tests/install.sh build
	ulimit -n $$(ulimit -H -n) 2>/dev/null; $(CARGO) bench --workspace --bench '*' $(if $(QUICK),-- --quick)
	@if [ -n "$(SIPLOAD)" ]; then \
		echo $(CARGO) build --release && $(CARGO) build --release && \
		echo tests/bench/load.py && SIPLOAD="$(SIPLOAD)" QUICK="$(QUICK)" tests/bench/load.py; \
	else \
		echo "SIPLOAD names no load generator: whole calls are not measured (docs/performance.md)"; \
	fi

# Reading SIP beside rsip, rsipstack and ezk: a crate of its own that nothing else builds.
bench-sip:
	@tests/install.sh build
	$(CARGO) run --release --manifest-path tests/bench/sip/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target)/bench-sip

# Ten minutes of random input for each reader, and a million steps of two endpoints; FUZZ_SECONDS is the time of each.
fuzz:
	@tests/install.sh build
	SEMS_MODEL_STEPS=$(or $(MODEL_STEPS),1000000) $(CARGO) test --release -p sems-sip --lib net::model
	tests/fuzz/run.sh

# The prompts are in the tree; this makes them anew.
sounds:
	@tests/install.sh sounds
	sounds/make.sh
