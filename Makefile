# weir: see README.md. `make help` lists the targets.
#
# Every object is compiled once, position independent with hidden visibility, and goes into the library, the program and the tests.
# A variant lives in its own directory: make BUILD=build/asan SANITIZE=address,undefined

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
SANITIZE ?=
COVERAGE ?=
WERROR  ?=

# Under /usr the library lies where the dynamic linker's $LIB leads to: LD_PRELOAD='/usr/$LIB/weir/libweir.so' is right on any machine.
multiarch := $(if $(filter /usr,$(PREFIX)),$(addprefix /,$(shell $(CC) -print-multiarch 2>/dev/null)))
bindir  = $(PREFIX)/bin
libdir ?= $(PREFIX)/lib$(multiarch)/weir
datadir = $(PREFIX)/share/weir
mandir  = $(PREFIX)/share/man
docdir  = $(PREFIX)/share/doc/weir
unitdir = $(PREFIX)/lib/systemd/user
bashdir = $(PREFIX)/share/bash-completion/completions
zshdir ?= $(PREFIX)/share/zsh/site-functions
fishdir = $(PREFIX)/share/fish/vendor_completions.d
confdir ?= /etc/weir

VERSION := $(shell cat VERSION)
PKG_CONFIG ?= pkg-config
PACKAGES = libconfig libmicrohttpd libcurl jansson ncursesw

CFLAGS   ?= -O2 -g
WARNINGS  = -Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wformat=2 $(if $(WERROR),-Werror)
HARDEN   := -fstack-protector-strong -fstack-clash-protection $(if $(filter x86_64-% i%86-%,$(shell $(CC) -dumpmachine)),-fcf-protection)
# What goes into the library is not fortified: the checked calls are glibc's own, so that no other C library could load it, and end
# the program when they find something.
FORTIFY   = $(if $(SANITIZE)$(COVERAGE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(if $(IN_LIBRARY),0,2))
SANFLAGS  = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined) $(if $(COVERAGE),--coverage)
# Where everything takes ten times as long, tests that go through many seeds go through few.
CPPFLAGS += -D_GNU_SOURCE -Iinclude -I. $(if $(SANITIZE)$(COVERAGE),-DBRIEF_TESTS)
# Neither the directory nor the build's name is in what is built: the same sources make the same bytes anywhere.
PREFIX_MAP = -ffile-prefix-map=$(CURDIR)=. $(if $(filter-out build,$(BUILD)),-ffile-prefix-map=$(BUILD)=build)
ALL_CFLAGS = -std=c11 $(PREFIX_MAP) -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -pthread $(WARNINGS) $(HARDEN) $(FORTIFY) $(SANFLAGS) $(CFLAGS)
ALL_LDFLAGS = -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--gc-sections -Wl,--as-needed $(SANFLAGS) $(LTO_LINK) $(LDFLAGS)

# A decision is some thirty small functions in three parts; inlined across files it takes a tenth less time (bench_decision). The
# library and that bench are linked so. Their objects hold ordinary code as well, and with that everything else is linked. Only
# parts without hooks, because hooks look at return addresses, and only with gcc: clang's way needs another linker.
LTO      := $(if $(SANITIZE)$(COVERAGE),,$(shell $(CC) --version 2>/dev/null | grep -q 'Free Software Foundation' && echo -flto -flto-partition=one))
LTO_LINK  = $(if $(LTO),-fno-lto)
$(BUILD)/obj/src/limit/%.o $(BUILD)/obj/src/segment/%.o $(BUILD)/obj/src/gate/%.o: private LTO_COMPILE = $(if $(LTO),$(LTO) -ffat-lto-objects -frandom-seed=$(@:$(BUILD)/%=%))
$(BUILD)/libweir.so $(BUILD)/bench/bench_decision: private LTO_LINK = $(CFLAGS) $(LTO) $(PREFIX_MAP)

# Its text is taken in by the assembler, behind the back of the dependencies that the compiler writes.
$(BUILD)/obj/src/agent/dashboard.o: src/agent/dashboard.html

# Only what these name knows the version and where weir is installed: `make install PREFIX=/usr` compiles nothing else again.
PLACES = -DWEIR_VERSION='"$(VERSION)"' -DWEIR_BINDIR='"$(bindir)"' -DWEIR_LIBDIR='"$(libdir)"' -DWEIR_CONFDIR='"$(confdir)"'
KNOW_PLACES = $(addprefix $(BUILD)/obj/,src/runtime/chain.o src/runtime/program.o src/runtime/version.o src/stats/prometheus.o src/agent/api_read.o \
	src/cli/library.o src/cli/version.o src/launcher/launcher.o tests/unit/test_runtime.o tests/integration/test_cli.o tests/integration/test_run.o)
$(KNOW_PLACES): private PLACES_COMPILE = $(PLACES)

LIBS     := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null)
LIBS_INC := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)

src = $(sort $(wildcard $(1)/*.c))
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

CORE_SRC    := $(call src,src/limit) $(call src,src/segment) $(call src,src/gate) $(call src,src/http) $(call src,src/answer) $(call src,src/wire) $(call src,src/log) $(call src,src/runtime) $(call src,src/units)
PRELOAD_SRC := $(call src,src/preload) $(call src,src/preload/*)
PROGRAM_SRC := $(call src,src/monitor) $(call src,src/policy) $(call src,src/stats) $(call src,src/agent) $(call src,src/cli)
# What every start of a command pays for: nothing that needs more than the C library.
LAUNCHER_SRC := $(call src,src/launcher) $(addprefix src/cli/,environment.c library.c run_request.c sight.c usage.c) src/agent/handover.c src/agent/instance.c
$(patsubst %.c,$(BUILD)/obj/%.o,$(CORE_SRC) $(PRELOAD_SRC)): private IN_LIBRARY = yes
SERVER_SRC  := $(call src,tests/server)
HARNESS_SRC := $(call src,tests/harness)
SIM_SRC     := $(call src,tests/sim)
EVAL_SRC    := $(call src,tests/eval)
UNIT        := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
INTEGRATION := $(patsubst tests/integration/%.c,%,$(sort $(wildcard tests/integration/test_*.c)))
BENCH       := $(patsubst tests/bench/%.c,%,$(sort $(wildcard tests/bench/bench_*.c)))
UNIT_BIN        = $(UNIT:%=$(BUILD)/tests/unit/%)
INTEGRATION_BIN = $(INTEGRATION:%=$(BUILD)/tests/integration/%)
BENCH_BIN       = $(BENCH:%=$(BUILD)/bench/%)
# Empty where the libraries that it needs are not to be had: tests of the core alone (scripts/aarch64).
POLICY          = $(BUILD)/libpolicy.a

# What the library is made of runs on strangers' stacks, a crash handler's of 8 KiB among them. What inlining across files adds up
# to is looked at in the library itself: tests/integration/test_object.c.
$(call obj,$(CORE_SRC) $(PRELOAD_SRC)): private FRAME_COMPILE = $(if $(SANITIZE)$(COVERAGE),,-Wframe-larger-than=1024)

.PHONY: all help check tests unit integration matrix equivalence aarch64 bench sim eval eval-short man install uninstall dist reproducible clean format tidy
.SECONDARY:
.DELETE_ON_ERROR:

all: $(BUILD)/libweir.so $(BUILD)/weir $(BUILD)/weir-tool

help:
	@echo 'make              build/libweir.so, build/weir and build/weir-tool'
	@echo 'make check        build and run all tests'
	@echo 'make unit         unit tests alone;  make integration: integration tests alone'
	@echo 'make matrix       run real programs bare and under weir; scripts/matrix --all: and install them first'
	@echo 'make equivalence  other people'"'"'s test suites bare and under weir: CPython, by scripts/equivalence curl libcurl'
	@echo 'make aarch64      library and unit tests of the core, under the user emulation of qemu'
	@echo 'make bench        measure start-up, decision and request costs'
	@echo 'make sim          run the controllers through the scenarios on a virtual clock'
	@echo 'make eval         some of them with real processes, two hours and a half;  make eval-short: half an hour'
	@echo 'make install      PREFIX=$(PREFIX) DESTDIR=$(DESTDIR);  make uninstall'
	@echo 'make dist         build/weir-$(VERSION).tar.gz;  scripts/package: a Debian package'
	@echo 'make reproducible build twice in different places and compare'
	@echo 'make format tidy  clang-format in place; clang-tidy'
	@echo 'variants          BUILD=build/asan SANITIZE=address,undefined; CC=clang; WERROR=1; COVERAGE=1'

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PLACES_COMPILE) $(LIBS_INC) $(ALL_CFLAGS) $(FRAME_COMPILE) $(LTO_COMPILE) -MMD -MP -c -o $@ $<

# Rebuild everything when compiler or flags change, what knows the places when those do.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS))' > $@
$(BUILD)/places: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(PLACES))' | cmp -s - $@ || echo '$(subst ','\'',$(PLACES))' > $@
$(KNOW_PLACES): $(BUILD)/places
.PHONY: FORCE
FORCE:

$(BUILD)/libcore.a: $(call obj,$(CORE_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libpolicy.a: $(call obj,$(filter src/monitor/% src/policy/% src/stats/% src/agent/% src/cli/top_%,$(PROGRAM_SRC)))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libharness.a: $(call obj,$(HARNESS_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

# -z noseparate-code: two mappings less in every process that is started, some 9 us of the 60 that are allowed (make bench).
# The hooks are the only exports, the C library the only dependency: tests/integration/test_object.c holds both. The compiler's
# start-up files do nothing for a C library but cost every process 12 us: three weak symbols are searched for and pages touched.
$(BUILD)/libweir.so: $(call obj,$(PRELOAD_SRC)) $(BUILD)/libcore.a src/preload/core/exports.map
	$(CC) -shared -o $@ $(call obj,$(PRELOAD_SRC)) $(BUILD)/libcore.a -Wl,--version-script=src/preload/core/exports.map -Wl,-soname,libweir.so $(if $(SANITIZE)$(COVERAGE),,-Wl,-z,defs -nostartfiles) -Wl,-z,noseparate-code $(ALL_LDFLAGS)

# Most of a start of `weir run` is the dynamic linker's work for libraries that only the rest needs: docs/architecture.md.
$(BUILD)/weir: $(call obj,$(LAUNCHER_SRC)) $(BUILD)/libcore.a | $(BUILD)/weir-tool
	$(CC) -pie -o $@ $(call obj,$(LAUNCHER_SRC)) $(BUILD)/libcore.a $(ALL_LDFLAGS) -pthread

$(BUILD)/weir-tool: $(call obj,$(PROGRAM_SRC)) $(BUILD)/libcore.a
	$(CC) -pie -o $@ $(call obj,$(PROGRAM_SRC)) $(BUILD)/libcore.a $(ALL_LDFLAGS) $(LIBS) -pthread

$(BUILD)/quotad: $(call obj,$(SERVER_SRC))
	$(CC) -pie -o $@ $^ $(ALL_LDFLAGS) -lmicrohttpd -lgnutls -ljansson -lpthread -lm

$(BUILD)/simulate: $(call obj,$(SIM_SRC)) $(BUILD)/libcore.a
	$(CC) -pie -o $@ $(call obj,$(SIM_SRC)) $(BUILD)/libcore.a $(ALL_LDFLAGS) -lm -pthread

$(BUILD)/evaluate: $(call obj,$(EVAL_SRC)) $(BUILD)/libharness.a $(BUILD)/libcore.a
	$(CC) -pie -o $@ $(call obj,$(EVAL_SRC)) $(BUILD)/libharness.a $(BUILD)/libcore.a $(ALL_LDFLAGS) -lcmocka $(LIBS) -lm -pthread

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(POLICY) $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(CC) -pie -o $@ $< $(POLICY) $(BUILD)/libcore.a $(ALL_LDFLAGS) $(TEST_LDFLAGS) -lcmocka $(LIBS) -lm -pthread

$(BUILD)/tests/integration/%: $(BUILD)/obj/tests/integration/%.o $(BUILD)/libharness.a $(BUILD)/libpolicy.a $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(CC) -pie -o $@ $< $(BUILD)/libharness.a $(BUILD)/libpolicy.a $(BUILD)/libcore.a $(ALL_LDFLAGS) -lcmocka $(LIBS) -lm -pthread

# Preloaded behind weir by tests/integration/test_foreign.c.
$(BUILD)/tests/foreign.so: tests/foreign/foreign.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -shared -fPIC $(CPPFLAGS) -std=c11 $(WARNINGS) $(CFLAGS) -o $@ $<

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/libharness.a $(BUILD)/libpolicy.a $(BUILD)/libcore.a
	@mkdir -p $(@D)
	$(CC) -pie -o $@ $< $(BUILD)/libharness.a $(BUILD)/libpolicy.a $(BUILD)/libcore.a $(ALL_LDFLAGS) -lcmocka $(LIBS) -lm -pthread

tests: all $(BUILD)/quotad $(BUILD)/evaluate $(BUILD)/tests/foreign.so $(UNIT_BIN) $(INTEGRATION_BIN)

check: tests
	@WEIR_BUILD=$(abspath $(BUILD)) ./scripts/run-tests $(UNIT_BIN) $(INTEGRATION_BIN)

unit: $(UNIT_BIN)
	@WEIR_BUILD=$(abspath $(BUILD)) ./scripts/run-tests $(UNIT_BIN)

integration: all $(BUILD)/quotad $(BUILD)/evaluate $(BUILD)/tests/foreign.so $(INTEGRATION_BIN)
	@WEIR_BUILD=$(abspath $(BUILD)) ./scripts/run-tests $(INTEGRATION_BIN)

matrix: all $(BUILD)/quotad
	@WEIR_BUILD=$(abspath $(BUILD)) ./scripts/matrix

equivalence: all
	@WEIR_BUILD=$(abspath $(BUILD)) ./scripts/equivalence cpython

aarch64:
	@./scripts/aarch64

bench: all $(BUILD)/quotad $(BENCH_BIN)
	@WEIR_BUILD=$(abspath $(BUILD)) ./scripts/bench $(BENCH_BIN)

sim: $(BUILD)/simulate
	$(abspath $(BUILD))/simulate --report docs/evaluation.md

# Exit status 1 tells that a target is missed; the report is written all the same.
eval: all $(BUILD)/quotad $(BUILD)/evaluate
	$(abspath $(BUILD))/evaluate --report docs/evaluation.md

eval-short: all $(BUILD)/quotad $(BUILD)/evaluate
	$(abspath $(BUILD))/evaluate --short

# The manual's lists of options, keys and metrics are made from what the program and docs/ say. NATIVE: a weir that runs here.
NATIVE ?= $(BUILD)/weir
PAGES   = weir.1 weir.conf.5 weir-metrics.7
man: all
	@./scripts/manual $(NATIVE) $(BUILD)/man

PRESETS = $(notdir $(sort $(wildcard conf/presets/*.conf)))
DOCS    = README.md CHANGELOG.md LICENSE weir.conf

# Each file takes the old one's place in one step: programs are started under it meanwhile.
install: man
	install -d "$(DESTDIR)$(bindir)" "$(DESTDIR)$(libdir)" "$(DESTDIR)$(docdir)" "$(DESTDIR)$(datadir)/presets" "$(DESTDIR)$(datadir)/prometheus" "$(DESTDIR)$(datadir)/grafana" "$(DESTDIR)$(unitdir)" \
		"$(DESTDIR)$(bashdir)" "$(DESTDIR)$(zshdir)" "$(DESTDIR)$(fishdir)" "$(DESTDIR)$(mandir)/man1" "$(DESTDIR)$(mandir)/man5" "$(DESTDIR)$(mandir)/man7"
	install -m 755 $(BUILD)/libweir.so "$(DESTDIR)$(libdir)/libweir.so.new"
	install -m 755 $(BUILD)/weir-tool "$(DESTDIR)$(libdir)/weir-tool.new"
	install -m 755 $(BUILD)/weir "$(DESTDIR)$(bindir)/weir.new"
	mv -f "$(DESTDIR)$(libdir)/libweir.so.new" "$(DESTDIR)$(libdir)/libweir.so"
	mv -f "$(DESTDIR)$(libdir)/weir-tool.new" "$(DESTDIR)$(libdir)/weir-tool"
	mv -f "$(DESTDIR)$(bindir)/weir.new" "$(DESTDIR)$(bindir)/weir"
	install -m 644 README.md CHANGELOG.md LICENSE conf/weir.conf "$(DESTDIR)$(docdir)/"
	for preset in $(PRESETS); do install -m 644 conf/presets/$$preset "$(DESTDIR)$(datadir)/presets/"; done
	install -m 644 conf/prometheus/weir.rules.yml conf/prometheus/weir.rules.test.yml "$(DESTDIR)$(datadir)/prometheus/"
	install -m 644 conf/grafana/weir.json "$(DESTDIR)$(datadir)/grafana/"
	for page in $(PAGES); do install -m 644 $(BUILD)/man/$$page "$(DESTDIR)$(mandir)/man$${page##*.}/"; done
	install -m 644 conf/completions/weir.bash "$(DESTDIR)$(bashdir)/weir"
	install -m 644 conf/completions/weir.zsh "$(DESTDIR)$(zshdir)/_weir"
	install -m 644 conf/completions/weir.fish "$(DESTDIR)$(fishdir)/weir.fish"
	sed 's|@bindir@|$(bindir)|' conf/systemd/weir-agent.service >"$(DESTDIR)$(unitdir)/weir-agent.service"
	chmod 644 "$(DESTDIR)$(unitdir)/weir-agent.service"

# The directories that installing makes where they are missing, which are removed again when empty, from the inside out. Those of
# /usr and /usr/local are the system's, empty or not.
OWN  = "$(DESTDIR)$(libdir)" "$(DESTDIR)$(docdir)" "$(DESTDIR)$(datadir)/presets" "$(DESTDIR)$(datadir)/prometheus" "$(DESTDIR)$(datadir)/grafana" "$(DESTDIR)$(datadir)"
SHARED_BELOW_PREFIX = bin $(patsubst /%,lib/%,$(multiarch)) lib/systemd/user lib/systemd lib share/bash-completion/completions share/bash-completion share/zsh/site-functions share/zsh \
	share/fish/vendor_completions.d share/fish share/man/man1 share/man/man5 share/man/man7 share/man share/doc share
MADE = $(if $(DESTDIR)$(filter-out /usr /usr/local,$(PREFIX)),$(foreach below,$(SHARED_BELOW_PREFIX),"$(DESTDIR)$(PREFIX)/$(below)") "$(DESTDIR)$(PREFIX)")

uninstall:
	rm -f "$(DESTDIR)$(bindir)/weir" "$(DESTDIR)$(libdir)/libweir.so" "$(DESTDIR)$(libdir)/weir-tool" "$(DESTDIR)$(unitdir)/weir-agent.service" \
		"$(DESTDIR)$(bashdir)/weir" "$(DESTDIR)$(zshdir)/_weir" "$(DESTDIR)$(fishdir)/weir.fish"
	for file in $(DOCS); do rm -f "$(DESTDIR)$(docdir)/$$file"; done
	for preset in $(PRESETS); do rm -f "$(DESTDIR)$(datadir)/presets/$$preset"; done
	rm -f "$(DESTDIR)$(datadir)/prometheus/weir.rules.yml" "$(DESTDIR)$(datadir)/prometheus/weir.rules.test.yml" "$(DESTDIR)$(datadir)/grafana/weir.json"
	for page in $(PAGES); do rm -f "$(DESTDIR)$(mandir)/man$${page##*.}/$$page"; done
	rmdir $(OWN) $(MADE) 2>/dev/null || true

# A source archive, the same byte for byte whenever and wherever it is made from the same files.
dist:
	@mkdir -p $(BUILD)
	./scripts/dist $(BUILD)/weir-$(VERSION).tar.gz

# Builds twice, in directories of other names, and compares.
reproducible:
	./scripts/reproducible

clean:
	rm -rf $(BUILD)

SOURCES = $(shell git ls-files '*.c' '*.h' 2>/dev/null | grep . || find include src tests -name '*.[ch]')
format:
	clang-format -i $(SOURCES)

tidy:
	clang-tidy --quiet $(filter src/%.c,$(SOURCES)) -- $(CPPFLAGS) $(PLACES) $(LIBS_INC) -std=c11

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
