.DEFAULT_GOAL := help
# What make and the commands get from a person's shell: these variables and no others. docs/settings.md ("The
# environment of make") has the same list, and what they are for.
FROM_SHELL := PATH LD_LIBRARY_PATH PYENV_% ASDF_% MISE_% HOME USER LOGNAME TMPDIR XDG_CACHE_HOME XDG_CONFIG_HOME \
  XDG_CONFIG_DIRS XDG_STATE_HOME TERM NO_COLOR TZ CI FIBONACCI_% \
  PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGSSLMODE PGSSLROOTCERT PGSSLCERT PGSSLKEY PGCHANNELBINDING \
  OTEL_SERVICE_NAME OTEL_RESOURCE_ATTRIBUTES OTEL_EXPORTER_OTLP_% OTEL_TRACES_% OTEL_BSP_% \
  PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_NO_INDEX PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_CERT PIP_CLIENT_CERT PIP_PROXY \
  PIP_TIMEOUT PIP_DEFAULT_TIMEOUT PIP_RETRIES PIP_CACHE_DIR PIP_CONFIG_FILE PIP_KEYRING_PROVIDER \
  UV_INDEX UV_INDEX_% UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_INSECURE_HOST UV_NATIVE_TLS UV_SYSTEM_CERTS \
  UV_HTTP_% UV_CACHE_DIR UV_CONFIG_FILE UV_KEYRING_PROVIDER \
  SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NETRC http_proxy https_proxy all_proxy no_proxy \
  HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
MAKES_OWN := MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES MAKE_TERMOUT MAKE_TERMERR
$(foreach name,$(filter-out $(FROM_SHELL) $(MAKES_OWN),$(.VARIABLES)),\
  $(if $(filter environment,$(origin $(name))),$(eval override undefine $$(name))))
export RAY_USAGE_STATS_ENABLED := 0
export RAY_AUTH_MODE := token
# Calls to this machine never go through the proxy that http_proxy names, which cannot reach it. Some programs read one
# spelling and some the other; what a person has set is kept.
COMMA := ,
export no_proxy := 127.0.0.1,localhost,::1$(addprefix $(COMMA),$(or $(no_proxy),$(NO_PROXY)))
export NO_PROXY := $(no_proxy)

PYTHON := python3
BIN := .venv/bin
INSTALLED := .venv/.installed
AUDIT := .venv/audit
BENCH_INSTALLED := .venv/.bench-installed
BENCH_ALL_INSTALLED := .venv/.bench-all-installed
BENCH_OWN := .venv/bench-flink/.installed .venv/bench-tensorflow/.installed
MUTANTS_INSTALLED := .venv/.mutants-installed
PAGE_INSTALLED := .venv/.page-installed

HOST :=
PORT :=
METRICS_PORT :=
CPUS :=
API_KEYS_FILE :=
STATE :=
NAME :=
QUICK :=
PEERS :=
RESUME :=
ARGS :=
ONLY :=
PROXY :=
SECONDS := 1800
ALL :=
RECORD :=
EXAMPLES := 1000
ROUNDS :=
REF := main
quoted = '$(subst ','\'',$(1))'
LAUNCH_OPTIONS = $(if $(HOST),--host $(call quoted,$(HOST))) $(if $(PORT),--port $(PORT)) \
  $(if $(METRICS_PORT),--metrics-port $(METRICS_PORT)) $(if $(CPUS),--cpus $(CPUS)) \
  $(if $(API_KEYS_FILE),--api-keys-file $(call quoted,$(API_KEYS_FILE))) $(if $(STATE),--state $(call quoted,$(STATE)))

# One command after another, even under make -j: they share the cores, .venv and each other's results.
.NOTPARALLEL:

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

.PHONY: serve
serve: $(INSTALLED) ## Run the service in the foreground (HOST=, PORT=, METRICS_PORT=, CPUS=, API_KEYS_FILE= override serve_config.yaml; STATE= keeps durable jobs)
	@exec $(BIN)/python -m deployments.launch $(LAUNCH_OPTIONS)

.PHONY: key
key: $(INSTALLED) ## Make an API key (NAME=alice): the key, once, and the line with its hash
	@$(BIN)/python -m deployments.new_key $(call quoted,$(NAME))

.PHONY: demo
demo: $(INSTALLED) ## Run the tutorial's comparison through the service, print it, stop: a minute (ROUNDS=5)
	@$(BIN)/python -m benchmarks.demo $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: bench
bench: $(if $(filter all,$(PEERS)),$(BENCH_ALL_INSTALLED) $(BENCH_OWN),$(BENCH_INSTALLED)) ## Measure the service against its peers (QUICK=1: 3 minutes; PEERS=all; RESUME=1)
	@$(BIN)/python -m benchmarks.run $(if $(QUICK),--quick) $(if $(PEERS),--peers $(PEERS)) $(if $(RESUME),--resume)

.PHONY: bench-compare
bench-compare: $(INSTALLED) ## Measure this tree beside another commit, in turns: 5 minutes (REF=main)
	@$(BIN)/python -m benchmarks.compare $(call quoted,$(REF))

.PHONY: simulate
simulate: $(BENCH_INSTALLED) ## Simulate 1 to 10,000 workers (ARGS=--help lists the parameters)
	@$(BIN)/python -m benchmarks.simulate $(ARGS)

.PHONY: test
test: $(INSTALLED) ## Run every test but those of page and places
	$(BIN)/python -m pytest tests/unit tests/http --numprocesses=auto --cov --cov-report=term
	$(BIN)/python -m pytest tests/serve --durations=10  # one after the other: they assert latencies

.PHONY: test-page
test-page: $(PAGE_INSTALLED) ## Try the live page in a real browser, Debian's chromium, over the real service
	$(BIN)/python -m pytest tests/page --timeout=300 --durations=10

.PHONY: test-places
test-places: $(INSTALLED) ## Try the service where people run it: their shells, a moved clone, interrupted set-ups
	$(BIN)/python -m pytest tests/places --timeout=300 --durations=20

.PHONY: chaos
chaos: $(INSTALLED) ## Kill, freeze, deceive and overload the service, in an hour (ONLY=row,row, ONLY=ci or ONLY=broken; PROXY=default; RECORD=1)
	@$(BIN)/python -m chaos.run $(if $(ONLY),--only $(ONLY)) $(if $(filter default,$(PROXY)),--default-proxy) \
	  $(if $(RECORD),--record)

.PHONY: soak
soak: $(INSTALLED) ## Load the service for 30 minutes and watch the memory of every process (SECONDS= shortens it; RECORD=1)
	@$(BIN)/python -m chaos.run --soak $(SECONDS) $(if $(RECORD),--record)

.PHONY: fuzz
fuzz: $(INSTALLED) ## Look for answers that the OpenAPI document does not allow (EXAMPLES=1000 requests a route)
	@$(BIN)/python -m tests.fuzz $(EXAMPLES)

.PHONY: mutants
mutants: $(MUTANTS_INSTALLED) ## Change the kernel, cost model and dispatcher in 500 ways: 85 % must fail a test (20 minutes; ALL=1: 2,600, hours)
	@$(BIN)/python -m tests.mutants $(if $(ALL),--all)

.PHONY: check
check: $(INSTALLED) ## Check format, lint, types, spelling, the workflow and lock files (needs the registry)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m codespell_lib
	$(BIN)/zizmor --offline --quiet --persona=pedantic .github/workflows
	@mkdir -p .venv/lock && cp requirements*.lock .venv/lock
	@$(MAKE) --no-print-directory lock LOCK_FOLDER=.venv/lock
	@for file in requirements*.lock; do diff -q $$file .venv/lock/$$file || \
	  { echo "$$file does not match pyproject.toml: run 'make lock'"; exit 1; }; done

# A package that cannot be looked up is an error (--strict): by default pip-audit would call it free of weaknesses.
.PHONY: audit
audit: $(AUDIT)/.installed ## Look up known weaknesses of all locked packages (needs the network)
	@if $(AUDIT)/bin/python -m pip_audit --strict --progress-spinner off --disable-pip --require-hashes \
	  $(addprefix --requirement=,$(wildcard requirements*.lock)) 2>$(AUDIT)/said; then cat $(AUDIT)/said; \
	elif grep -q 'Found .* known vulnerabilit' $(AUDIT)/said; then cat $(AUDIT)/said; exit 1; \
	else echo "not audited: the data on known weaknesses cannot be reached ($$(tail -n 1 $(AUDIT)/said))"; exit 1; fi

.PHONY: fmt
fmt: $(INSTALLED) ## Format the code and fix what ruff can fix
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

LOCK_FOLDER := .
COMPILE = $(BIN)/python -m set_up.registry pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
# Not by `make check`: the requirements of pyspark and Flink can be read only after fetching all of them, 700 MB.
define COMPILE_BENCH_ALL
$(COMPILE) --group bench-all -c requirements-dev.lock -c requirements-bench.lock \
  --no-annotate --output-file requirements-bench-all.lock
@mkdir -p .venv/lock && grep -o '^gmpy2==[^ ]*' requirements-dev.lock >.venv/lock/gmpy2  # the kernel adds with the same
$(COMPILE) --group bench-flink -c .venv/lock/gmpy2 --no-annotate --output-file requirements-bench-flink.lock
$(COMPILE) --group bench-tensorflow -c .venv/lock/gmpy2 --no-annotate --output-file requirements-bench-tensorflow.lock
endef
.PHONY: lock
lock: $(INSTALLED) ## Write the lock files from pyproject.toml, changing as little as possible
	$(COMPILE) pyproject.toml --extra postgres --output-file $(LOCK_FOLDER)/requirements.lock
	$(COMPILE) pyproject.toml --extra postgres --group dev --group uv -c $(LOCK_FOLDER)/requirements.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-dev.lock
	$(COMPILE) --group uv -c $(LOCK_FOLDER)/requirements-dev.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-uv.lock
	$(COMPILE) --group audit -c $(LOCK_FOLDER)/requirements-dev.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-audit.lock
	$(COMPILE) --group bench -c $(LOCK_FOLDER)/requirements-dev.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-bench.lock
	$(COMPILE) --group mutants -c $(LOCK_FOLDER)/requirements-dev.lock -c $(LOCK_FOLDER)/requirements-bench.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-mutants.lock
	$(COMPILE) --group page -c $(LOCK_FOLDER)/requirements-dev.lock \
	  --no-annotate --output-file $(LOCK_FOLDER)/requirements-page.lock
	$(if $(filter .,$(LOCK_FOLDER)),$(COMPILE_BENCH_ALL))

.PHONY: vendor
vendor: $(INSTALLED) ## Fetch the page's one library again, and compare it with its published hash (needs npm and its registry)
	$(BIN)/python -m set_up.vendor

.PHONY: clean
clean: ## Remove the environment, every cache and all compiled bytecode
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is in .venv, and what it was made from: the clone's folder and the file that its Python really is. If that has
# changed, the clone was moved or its Python is gone; if .installed is missing, something was interrupted (set_up).
define MADE_AGAIN_IF_MOVED
ifneq ($$(CURDIR) $$(realpath $(1)/bin/python),$$(file <$(1)/.installed))
.PHONY: $(1)/.installed
endif
endef
$(foreach folder,.venv $(AUDIT) $(patsubst %/.installed,%,$(BENCH_OWN)),$(eval $(call MADE_AGAIN_IF_MOVED,$(folder))))
OLD_PYTHON := import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, but \
  $(PYTHON) is %d.%d: make PYTHON=python3.12" % sys.version_info[:2])
SET_UP = @$(PYTHON) -c '$(OLD_PYTHON)' && exec $(PYTHON) -E -s -m set_up

$(INSTALLED): requirements-dev.lock requirements-uv.lock pyproject.toml
	$(SET_UP) base

$(AUDIT)/.installed: requirements-audit.lock
	$(SET_UP) audit

$(BENCH_INSTALLED): requirements-bench.lock $(INSTALLED)
	$(SET_UP) bench

$(BENCH_ALL_INSTALLED): requirements-bench-all.lock $(BENCH_INSTALLED)
	$(SET_UP) bench-all

# A peer that cannot be had here is left out, after the line that says why.
$(BENCH_OWN): .venv/%/.installed: requirements-%.lock $(INSTALLED)
	-$(SET_UP) $*

$(MUTANTS_INSTALLED): requirements-mutants.lock $(INSTALLED)
	$(SET_UP) mutants

$(PAGE_INSTALLED): requirements-page.lock $(INSTALLED)
	$(SET_UP) page
