.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
AUDIT := .venv/audit
BENCH_INSTALLED := .venv/.bench-installed
BENCH_ALL_INSTALLED := .venv/.bench-all-installed
MUTANTS_INSTALLED := .venv/.mutants-installed

# What Ray and Python read from the environment, so that nothing depends on a person's shell.
export RAY_USAGE_STATS_ENABLED := 0
export RAY_AUTH_MODE := token
# What the commands call is on this machine: never through the proxy that http_proxy names, which cannot reach it. Some
# programs read one spelling and some the other; what a person has set is kept.
COMMA := ,
export no_proxy := 127.0.0.1,localhost,::1$(addprefix $(COMMA),$(or $(no_proxy),$(NO_PROXY)))
export NO_PROXY := $(no_proxy)
unexport RAY_ADDRESS
unexport VIRTUAL_ENV
unexport PYTHONPATH
# Without compiled bytecode every Ray process compiles all its imports again.
unexport PYTHONDONTWRITEBYTECODE

HOST ?=
PORT ?=
CPUS ?=
API_KEYS_FILE ?=
QUICK ?=
PEERS ?=
RESUME ?=
RECORD ?=
EXAMPLES ?= 1000
ROUNDS ?=
LAUNCH_OPTIONS = $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) $(if $(CPUS),--cpus $(CPUS)) \
  $(if $(API_KEYS_FILE),--api-keys-file '$(API_KEYS_FILE)')

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: serve
serve: $(INSTALLED) ## Run the service in the foreground (HOST=, PORT=, CPUS=, API_KEYS_FILE= override serve_config.yaml)
	@exec $(BIN)/python -m deployments.launch $(LAUNCH_OPTIONS)

.PHONY: key
key: $(INSTALLED) ## Make an API key (NAME=alice): the key, once, and the line with its hash
	@$(BIN)/python -m deployments.new_key '$(NAME)'

.PHONY: demo
demo: $(INSTALLED) ## Run the tutorial's comparison through the service, print it, stop: a minute (ROUNDS=5)
	@$(BIN)/python -m benchmarks.demo $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: bench
bench: $(if $(filter all,$(PEERS)),$(BENCH_ALL_INSTALLED),$(BENCH_INSTALLED)) ## Measure the service against its peers (QUICK=1: 3 minutes; PEERS=all; RESUME=1)
	@$(BIN)/python -m benchmarks.run $(if $(QUICK),--quick) $(if $(PEERS),--peers $(PEERS)) $(if $(RESUME),--resume)

.PHONY: simulate
simulate: $(BENCH_INSTALLED) ## Simulate 1 to 10,000 workers (ARGS=--help lists the parameters)
	@$(BIN)/python -m benchmarks.simulate $(ARGS)

.PHONY: test
test: $(INSTALLED) ## Run every test
	$(BIN)/python -m pytest tests/unit tests/http --numprocesses=auto --cov --cov-report=term
	$(BIN)/python -m pytest tests/serve  # one after the other: they assert latencies

.PHONY: chaos
chaos: $(INSTALLED) ## Kill, freeze, deceive and overload the service, in 25 minutes (ONLY=row,row or ONLY=broken; PROXY=default; RECORD=1)
	@$(BIN)/python -m chaos.run $(if $(ONLY),--only $(ONLY)) $(if $(filter default,$(PROXY)),--default-proxy) \
	  $(if $(RECORD),--record)

.PHONY: soak
soak: $(INSTALLED) ## Load the service for 30 minutes and watch the memory of every process (SECONDS= shortens it; RECORD=1)
	@$(BIN)/python -m chaos.run --soak $(or $(SECONDS),1800) $(if $(RECORD),--record)

.PHONY: fuzz
fuzz: $(INSTALLED) ## Look for answers that the OpenAPI document does not allow (EXAMPLES=1000 requests a route)
	@$(BIN)/python -m tests.fuzz $(EXAMPLES)

.PHONY: mutants
mutants: $(MUTANTS_INSTALLED) ## Change the kernel, cost model and dispatcher in 1,500 ways: 85 % must fail a test (20 minutes)
	@$(BIN)/python -m tests.mutants

.PHONY: check
check: $(INSTALLED) ## Check format, lint, types, spelling, the workflow and lock files (needs the registry)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/zizmor --offline --quiet --persona=pedantic .github/workflows
	@mkdir -p .venv/lock && cp requirements*.lock .venv/lock
	@$(MAKE) --no-print-directory lock LOCK_FOLDER=.venv/lock
	@for file in requirements*.lock; do diff -q $$file .venv/lock/$$file || \
	  { echo "$$file does not fit pyproject.toml: run 'make lock'"; exit 1; }; done

# A package that could not be looked up is an error (--strict): by default pip-audit would call it free of weaknesses.
.PHONY: audit
audit: $(AUDIT)/.installed ## Look up known weaknesses of all that is locked (needs the network)
	@if $(AUDIT)/bin/pip-audit --strict --progress-spinner off --disable-pip --require-hashes \
	  $(addprefix --requirement=,$(wildcard requirements*.lock)) 2>$(AUDIT)/said; then cat $(AUDIT)/said; \
	elif grep -q 'Found .* known vulnerabilit' $(AUDIT)/said; then cat $(AUDIT)/said; exit 1; \
	else echo "not audited: the data on known weaknesses cannot be reached ($$(tail -n 1 $(AUDIT)/said))"; exit 1; fi

.PHONY: fmt
fmt: $(INSTALLED) ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK_FOLDER := .
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
# Not by `make check`: pyspark's requirements can be read only after fetching all of it, 400 MB.
COMPILE_BENCH_ALL = $(COMPILE) --group bench-all -c requirements-dev.lock -c requirements-bench.lock \
  --no-annotate --output-file requirements-bench-all.lock
.PHONY: lock
lock: $(INSTALLED) ## Write the lock files from pyproject.toml, changing as little as it can
	$(COMPILE) pyproject.toml --output-file $(LOCK_FOLDER)/requirements.lock
	$(COMPILE) pyproject.toml --group dev --group uv -c $(LOCK_FOLDER)/requirements.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-dev.lock
	$(COMPILE) --group uv -c $(LOCK_FOLDER)/requirements-dev.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-uv.lock
	$(COMPILE) --group audit -c $(LOCK_FOLDER)/requirements-dev.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-audit.lock
	$(COMPILE) --group bench -c $(LOCK_FOLDER)/requirements-dev.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-bench.lock
	$(COMPILE) --group mutants -c $(LOCK_FOLDER)/requirements-dev.lock -c $(LOCK_FOLDER)/requirements-bench.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-mutants.lock
	$(if $(filter .,$(LOCK_FOLDER)),$(COMPILE_BENCH_ALL))

.PHONY: clean
clean: ## Remove the environment, every cache and all compiled bytecode
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements-dev.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@echo "setting up .venv ..."
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q app deployments
	@touch $@

$(BENCH_INSTALLED): requirements-bench.lock $(INSTALLED)
	@echo "installing what the service is compared with ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-bench.lock
	@touch $@

$(MUTANTS_INSTALLED): requirements-mutants.lock $(INSTALLED)
	@echo "installing mutmut ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-mutants.lock
	@touch $@

$(AUDIT)/.installed: requirements-audit.lock
	@echo "installing the auditor ..."
	@test -x $(AUDIT)/bin/pip || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(BENCH_ALL_INSTALLED): requirements-bench-all.lock $(BENCH_INSTALLED)
	@echo "installing MPI, Spark and Celery ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-bench-all.lock
	@touch $@
