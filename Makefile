# haechi: make up (everything), make test (everything proved). The rest is for developers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
APT := iproute2 nftables conntrack haproxy nginx-light libnginx-mod-http-lua libnginx-mod-http-modsecurity lua-cjson modsecurity-crs mmdebstrap openssh-client openssl ca-certificates curl zstd packer
APT_TEST := sshpass iputils-ping procps chromium bind9-dnsutils
APT_BENCH := wrk

.PHONY: up down test lint docs bench install

up: install
	@$(BIN)/haechi up --yes

down:
	@$(BIN)/haechi down

test: install $(VENV)/.test
	@for t in $(APT_TEST); do dpkg -s $$t >/dev/null 2>&1 || missing="$$missing $$t"; done; [ -z "$$missing" ] || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; }
	@HAECHI_SITE=15 $(BIN)/haechi prepare && HAECHI_SITE=15 $(BIN)/haechi down --purge >/dev/null  # fills the cache, leaves nothing else
	@$(BIN)/python -m pytest $(ARGS)

lint: install $(VENV)/.test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/python -m haechi.docs --check

docs: install
	@$(BIN)/python -m haechi.docs

bench: install $(VENV)/.test
	@for t in $(APT_TEST) $(APT_BENCH); do dpkg -s $$t >/dev/null 2>&1 || missing="$$missing $$t"; done; [ -z "$$missing" ] || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; }
	@$(BIN)/pip install -q --disable-pip-version-check 'moto[server,ec2]' && $(BIN)/python -m tests.bench

install: $(VENV)/.install
	@for t in $(APT); do dpkg -s $$t >/dev/null 2>&1 || missing="$$missing $$t"; done; [ -z "$$missing" ] || { echo "installing$$missing" >&2; apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null && case "$$missing" in *nginx-light*) ! command -v systemctl >/dev/null || systemctl -q disable --now nginx 2>/dev/null || true;; esac; }

$(VENV)/.install: pyproject.toml requirements.lock
	@dpkg -s python3-venv >/dev/null 2>&1 || $(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.test: $(VENV)/.install
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@
