# Each target is one command, so that it can be run by hand as well. `make` alone lists them.

SWIFT ?= swift
SOURCES := Sources Tests Interop Examples Package.swift

.DEFAULT_GOAL := help
.PHONY: help deps check-deps build test test-web test-web-long pictures bench bench-json demo crashes sanitize soak schemas check-schemas format lint clean attacks fuzz

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install the C libraries (libsodium, protobuf-c, libqrencode, libedit, libtorrent) if they are missing; WEB=1 a browser to test with, too
	@Scripts/deps
	@[ -z "$(WEB)" ] || Scripts/deps-web

# Nothing else installs anything but README's two commands, demo and test.
check-deps:
	@Scripts/deps --check

build: check-deps ## Build everything; FLAGS=--disable-default-traits without what needs libtorrent, libre and usrsctp
	$(SWIFT) build $(FLAGS)

test: deps ## Run all tests, one at a time: some watch clocks; SEEDS=1000 runs the random ones longer, SEED=7 one seed alone
	@SWIFT="$(SWIFT)" Scripts/test

test-web: check-deps ## Test the chat's page in a real browser; ONLY="search theme" runs those alone
	@Scripts/deps-web --check
	$(SWIFT) build
	.build/web/bin/python Tests/Web/run.py $(ONLY)

test-web-long: check-deps ## Look at a room of 20,000 messages in a real browser, with a release build
	@Scripts/deps-web --check
	$(SWIFT) build --configuration release --product dat
	DAT=.build/release/dat .build/web/bin/python Tests/Web/run.py twenty_thousand

pictures: check-deps ## Make the pictures of README anew, in Documentation/Images
	@Scripts/deps-web --check
	$(SWIFT) build
	.build/web/bin/python Tests/Web/run.py --readme readme

bench: check-deps ## Measure; BENCH="--filter append --quick" says what; Node beside it where NODE_PATH has its packages
	@$(SWIFT) build --configuration release --package-path Benchmarks
	@Benchmarks/.build/release/dat-bench --interop Interop/bench $(BENCH)

bench-json: check-deps ## Measure, as one JSON object a line: {name, value, unit}
	@$(SWIFT) build --configuration release --package-path Benchmarks >&2
	@Benchmarks/.build/release/dat-bench --interop Interop/bench --json $(BENCH)

.PHONY: costs
costs: check-deps ## Count memory, copies and system calls of each kind of work, and write Tests/Costs/Costs.json anew; BUILD=release for that
	$(SWIFT) build --configuration $(or $(BUILD),debug) --product dat-costs
	@.build/$(or $(BUILD),debug)/dat-costs renew Tests/Costs/Costs.json

.PHONY: mutants
mutants: check-deps ## Put N=60 small faults into each MODULE="Hypercore Saga", one at a time, and list those that no test notices; SEED=1; OPTIMIZE=1 builds longer and runs far faster
	@SWIFT="$(SWIFT)" SEED="$(SEED)" N="$(N)" MODULE="$(MODULE)" OPTIMIZE="$(OPTIMIZE)" python3 Scripts/mutants

.PHONY: bench-plot
bench-plot: check-deps ## Draw what was measured, beside Node and the limits, and how cost grows; FROM=FILE of bench-json, or it measures
	@mkdir -p Artifacts
	@[ -n "$(FROM)" ] || $(MAKE) --no-print-directory bench-json > Artifacts/bench.jsonl
	@Scripts/bench-plot $(or $(FROM),Artifacts/bench.jsonl) Documentation/Dat.docc/Images

.PHONY: test-nat
test-nat: check-deps ## Let peers meet behind NATs, in network namespaces, with coturn and Chromium; ONLY=STUN runs some cases
	$(SWIFT) build --product dat
	python3 Tests/Network/nat.py $(ONLY)

.PHONY: interop
interop: check-deps ## Put Node and Swift on either end, where NODE_PATH has Node's packages; ONLY=chat runs some rows
	@Scripts/interop

.PHONY: docs check-docs
docs: check-deps ## Build the documentation, a static site in Artifacts/Documentation
	@Scripts/docs

check-docs: check-deps ## Fail if a public symbol has no documentation, or a link in it leads nowhere
	@Scripts/docs --check

.PHONY: check-readme check-consumer check-api man
check-readme: check-deps ## Run what README and the articles print, and compare the bytes they show with Fixtures/
	@Scripts/check-formats
	@$(SWIFT) build
	@Scripts/check-readme

check-consumer: check-deps ## Build and run a package that depends on this one, in Examples/Consumer
	@$(SWIFT) build --package-path Examples/Consumer --scratch-path .build/consumer
	@.build/consumer/debug/Consumer

check-api: ## Say what breaks users since BASE, a version or a commit; the newest version where it is left out
	@Scripts/check-api $(BASE)

man: check-deps ## Manual pages and shell completions of dat, in Artifacts/man and Artifacts/completions
	@Scripts/man

.PHONY: bench-host
bench-host: check-deps ## Measure a host with ROOMS=1000 rooms of three writers and two connections each
	$(SWIFT) build --configuration release --product dat
	$(SWIFT) build --configuration release --product dat-host-load
	@.build/release/dat-host-load .build/release/dat $(or $(ROOMS),1000)

.PHONY: fleet-campaign
fleet-campaign: check-deps ## Simulate a day of a fleet of HOSTS=1000 hosts that share KEYS=1000000 keys; SEED=1
	$(SWIFT) build --configuration release --product dat-fleet-campaign
	@.build/release/dat-fleet-campaign $(or $(HOSTS),1000) $(or $(KEYS),1000000) $(or $(SEED),1)

.PHONY: test-fleet
test-fleet: check-deps ## Run a fleet of ten hosts in network namespaces, named by bind9 with dynamic updates; as root; ONLY="lost"
	$(SWIFT) build --product dat
	python3 Tests/Network/fleet.py $(ONLY)

.PHONY: check-manifests
check-manifests: ## Check the manifests of Examples/Fleet for Kubernetes and Nomad
	@Scripts/check-manifests

.PHONY: bench-browser
bench-browser: check-deps ## Measure connections with Chromium and between native peers, beside Chromium to Chromium; ONLY=connect
	$(SWIFT) build --configuration release --product dat
	$(SWIFT) build --configuration release --package-path Benchmarks
	python3 Tests/Network/bench.py $(ONLY)

.PHONY: bench-room
bench-room: deps ## Open and search a room of MESSAGES=1000000 by 20 writers, with its index and without
	$(SWIFT) build --configuration release --product dat-room-load
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	  .build/release/dat-room-load write $$folder/room $(or $(MESSAGES),1000000) 20 && \
	  .build/release/dat-room-load open $$folder/room --without-index && \
	  .build/release/dat-room-load open $$folder/room

.PHONY: release install uninstall check-version
release: check-deps ## Build the program that is installed, with Swift's libraries in it; FLAGS=--disable-default-traits without what needs libtorrent, libre and usrsctp
	@Scripts/release-build

install: check-deps ## Install dat below PREFIX=/usr/local, with manual pages, completions and the unit; DESTDIR as usual
	@program=$$(Scripts/release-build) && PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" Scripts/install "$$program"

uninstall: ## Take away what make install put there, with the same PREFIX and DESTDIR
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" Scripts/install --remove

check-version: ## Fail if the command, the change log and the packages have different versions
	@Scripts/version --check

.PHONY: deb check-deb test-deb apt-repo release-notes
deb: check-deps ## Debian packages dat and dat-host, in Artifacts/deb, looked at by lintian
	@Scripts/deb

check-deb: check-deps ## The same, packed twice and compared; REBUILD=1 compiles twice, too
	@Scripts/deb --check

test-deb: ## Try the packages in two folders of Debian 12 without Swift: install, chat, host, upgrade, purge; as root
	@[ -n "$$(ls Artifacts/deb/*.deb 2>/dev/null)" ] || $(MAKE) --no-print-directory deb
	@Scripts/test-deb

apt-repo: ## Lay out Artifacts/deb as a repository for apt, in Artifacts/apt, signed by gpg with KEY=FINGERPRINT
	@Scripts/apt-repo "$(KEY)"

release-notes: ## Print what the change log says of this version
	@Scripts/version --notes

demo: deps ## See it at work on this machine
	$(SWIFT) build --product dat $(FLAGS)
	@Scripts/demo

sanitize: check-deps ## Run all tests under the thread and the address sanitizer
	Scripts/sanitize

crashes: check-deps ## Crash disks and kill processes far more often than the tests do; CRASH_STATES=200000 KILLS=2000
	CRASH_STATES=$(or $(CRASH_STATES),200000) KILLS=$(or $(KILLS),2000) $(SWIFT) test --no-parallel \
	  --filter 'CrashCampaignTests|DatabaseCrashTests|KilledProcessTests'

soak: check-deps ## Ten peers chat, leave and are killed for HOURS=2 (or SECONDS=60); views and memory are checked
	$(SWIFT) build --configuration release --product dat
	Scripts/soak.py --hours $(or $(HOURS),0) --seconds $(or $(SECONDS),0)

attacks: check-deps ## Attack a peer over TCP and print what held and what it cost; ROWS="6 10"; the reference too, where NODE_PATH has it
	$(SWIFT) build --configuration release --product dat
	$(SWIFT) build --configuration release --product dat-attacks
	@.build/release/dat-attacks $(ROWS)
	@if [ -n "$$NODE_PATH" ] && command -v node >/dev/null; then \
	  echo; echo "The same against hypercore in Node, for contrast:"; .build/release/dat-attacks --node $(ROWS); fi

fuzz: check-deps ## Feed every decoder with any bytes; SECONDS=60 or RUNS=100000 each; TARGETS="trie session"
	@Scripts/fuzz $(if $(RUNS),--runs $(RUNS),--seconds $(or $(SECONDS),60)) $(TARGETS)

.PHONY: check-fuzz
check-fuzz: check-deps ## Feed every decoder with 100,000 inputs, the same ones each time
	@Scripts/fuzz --runs 100000 --repeatable

schemas: ## Generate Sources/CDatMessages from Schemas/
	@Scripts/schemas

check-schemas: ## Fail if Sources/CDatMessages is not what Schemas/ generates
	@Scripts/schemas --check

format: ## Format the sources in place
	$(SWIFT) format --in-place --recursive $(SOURCES)

lint: ## Fail if the sources are not formatted, or handle text from outside as if it were their own
	$(SWIFT) format lint --strict --recursive $(SOURCES)
	@Scripts/check-foreign-text

check-words: ## Fail if documentation comments open with question words
	@Scripts/check-words

clean: ## Remove what was built
	$(SWIFT) package clean
