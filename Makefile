# mod_llmux - `make help` lists the targets.

APXS     ?= apxs
BUILD    ?= build
CC       ?= gcc
SAN      ?=
CFLAGS   ?= -O2 -g
export APXS BUILD CC SAN CFLAGS

# Who may include whom: a folder sees its own files and lower ranks only.
# t/00-layers.t reads this line.
RANKS    := core:1 dialect:2 transport:2 state:2 credential:3 tokens:3 provider:4 policy:4 meter:4 route:5 gateway:6 httpd:7

PKGS     := libcurl json-c openssl zlib libpcre2-8
WARN     := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow \
            -Wpointer-arith -Wformat=2 -Wno-unused-parameter \
            -Wno-missing-field-initializers -Werror
# Asked once, and not before something is compiled: `make deps` works on a
# machine that has none of these.
HTTPD_INC = $(eval HTTPD_INC := $(shell $(APXS) -q INCLUDEDIR))$(HTTPD_INC)
LIB_FLAGS = $(eval LIB_FLAGS := $(shell apr-1-config --includes --cppflags; \
            apu-1-config --includes; pkg-config --cflags $(PKGS)))$(LIB_FLAGS)
LIBS      = $(eval LIBS := $(shell pkg-config --libs $(PKGS); \
            apu-1-config --link-ld; apr-1-config --link-ld))$(LIBS)
ALL_CFLAGS = -std=gnu99 -fPIC -fvisibility=hidden -pthread $(CFLAGS) $(WARN) $(SAN) -MMD -MP -Iinclude $(LIB_FLAGS)

CORE_SRC  := $(filter-out src/httpd/%,$(wildcard src/*/*.c))
HTTPD_SRC := mod_llmux.c $(wildcard src/httpd/*.c)
CORE_OBJ  := $(CORE_SRC:%.c=$(BUILD)/obj/%.o)
HTTPD_OBJ := $(HTTPD_SRC:%.c=$(BUILD)/obj/%.o)
UNITS     := $(patsubst t/unit/%.c,$(BUILD)/unit/%,$(wildcard t/unit/*.c))
FUZZERS   := $(patsubst fuzz/%.c,$(BUILD)/fuzz/%,$(filter-out fuzz/replay.c,$(wildcard fuzz/*.c)))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

all: $(BUILD)/mod_llmux.so                 ## build the module (the default)

$(BUILD)/libllmux.a: $(CORE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/mod_llmux.so: $(HTTPD_OBJ) $(BUILD)/libllmux.a
	$(CC) -shared -pthread $(SAN) -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -o $@ $(HTTPD_OBJ) $(BUILD)/libllmux.a $(LIBS) -Wl,--unresolved-symbols=ignore-all
	@! nm -D --undefined-only $@ | grep ' llmux_'    # httpd has the rest

$(BUILD)/obj/src/httpd/%.o: src/httpd/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -I$(HTTPD_INC) -c -o $@ $<

# httpd must find llmux_module: the one symbol that is not hidden.
$(BUILD)/obj/mod_llmux.o: mod_llmux.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fvisibility=default -I$(HTTPD_INC) -c -o $@ $<

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

units: $(UNITS)                            ## build the unit tests

$(BUILD)/unit/%: t/unit/%.c t/unit/tap.h $(BUILD)/libllmux.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Isrc -o $@ $< $(BUILD)/libllmux.a $(LIBS)

# What runs a fuzz target: a program that replays files, or libFuzzer.
FUZZ_MAIN ?= $(BUILD)/obj/fuzz/replay.o

fuzzers: $(FUZZERS)                        ## build the fuzz targets, to replay their corpora

$(BUILD)/obj/fuzz/%.o: ALL_CFLAGS += -Isrc

$(BUILD)/fuzz/%: $(BUILD)/obj/fuzz/%.o $(filter %.o,$(FUZZ_MAIN)) $(BUILD)/libllmux.a
	@mkdir -p $(@D)
	$(CC) -pthread $(SAN) $(FUZZ_MAIN) -o $@ $< $(BUILD)/libllmux.a $(LIBS)

$(BUILD)/tools/%: tools/%.c include/llmux/settings.def include/llmux/providers.def
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $<

$(BUILD)/tools/%: t/tools/%.c $(wildcard t/tools/*.h) t/unit/transcript.h $(BUILD)/libllmux.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $< $(BUILD)/libllmux.a $(LIBS)

# Preloaded under AddressSanitizer: use of a pool's memory after its end.
$(BUILD)/pools.so: t/lib/pools.c
	@mkdir -p $(@D)
	$(CC) -std=gnu99 -fPIC -pthread -O1 -g $(WARN) -shared -o $@ $<

.SECONDARY:
-include $(shell find $(BUILD)/obj $(BUILD)/unit $(BUILD)/tools -name '*.d' 2>/dev/null)

# ---- commands

JOBS      ?= 4
T         ?= $(wildcard t/*.t t/*/*.t)
DEPS      ?= run build test
TOOLS      = $(patsubst %.c,$(BUILD)/tools/%,$(notdir $(wildcard tools/*.c t/tools/*.c)))
RACE_SECONDS ?= 8
SANITIZE   = -fsanitize=address,undefined -fno-omit-frame-pointer
# Parts of one build at the same time, unless -j was said already.
PARALLEL   = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

help:                                      ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

deps:                                      ## install the Debian packages that are missing (DEPS="run build test")
	@tools/deps.sh $(DEPS)

run:                                       ## build, and start httpd with the module on 127.0.0.1 (PORT=8080)
	@tools/deps.sh run build
	@$(MAKE) --no-print-directory $(PARALLEL) all
	@tools/run.sh

test:                                      ## run the tests (T=t/03-docs.t for one of them, JOBS=4 at once)
	@tools/deps.sh run build test
	@$(MAKE) --no-print-directory $(PARALLEL) all units fuzzers $(TOOLS) $(if $(LLMUX_ASAN),$(BUILD)/pools.so)
	@MAKEFLAGS= LLMUX_BUILD=$(BUILD) prove -j$(JOBS) $(PROVE_FLAGS) $(T)

asan:                                      ## the same under AddressSanitizer and UBSan
	@LLMUX_ASAN=1 $(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS='-O1 -g' SAN='$(SANITIZE)' test

# The units that have threads, and servers that have all of them.
RACES     ?= race resolve tls http transport transport_pool transport_tls
RACE_T    ?= t/45-park.t t/49-loops.t
race: export TSAN_OPTIONS = suppressions=$(CURDIR)/t/unit/race.supp exitcode=66 halt_on_error=1
race:                                      ## look for data races: units and servers under ThreadSanitizer (RACE_SECONDS=8)
	@tools/deps.sh run build test
	@$(MAKE) --no-print-directory $(PARALLEL) BUILD=$(BUILD)/race CFLAGS='-O1 -g' SAN=-fsanitize=thread \
	    all $(RACES:%=$(BUILD)/race/unit/%)
	@LLMUX_RACE_SECONDS=$(RACE_SECONDS) prove -e '' $(PROVE_FLAGS) $(RACES:%=$(BUILD)/race/unit/%)
	@LLMUX_TSAN=1 LLMUX_BUILD=$(BUILD)/race prove $(PROVE_FLAGS) $(RACE_T)

fuzz:                                      ## fuzz every target for FUZZ_SECONDS=60, say what the corpora cover
	@tools/deps.sh run build fuzz
	@tools/fuzz.sh $(FUZZ)

replay:                                    ## feed the fuzz corpora to the targets, once
	@$(MAKE) --no-print-directory test T=t/90-corpora.t

lint:                                      ## what compilers and linters complain about
	@tools/deps.sh run build test lint
	@tools/lint.sh

bench: all                                 ## compare with ProxyPass and nginx
	@tools/deps.sh run build test bench
	@bench/run

SOAK_BUILD = $(BUILD)$(if $(LLMUX_ASAN),/asan)

soak:                                      ## mixed traffic for SOAK_SECONDS=600; is anything lost? (LLMUX_ASAN=1 too)
	@tools/deps.sh run build test
	@$(MAKE) --no-print-directory $(PARALLEL) BUILD=$(SOAK_BUILD) \
	    $(if $(LLMUX_ASAN),CFLAGS='-O1 -g' SAN='$(SANITIZE)') all
	@MAKEFLAGS= LLMUX_BUILD=$(SOAK_BUILD) bench/soak

docs: $(BUILD)/tools/directives            ## write docs/directives.md anew from settings.def
	$< > docs/directives.md

install: all                               ## put module, conf and data where they belong (DESTDIR=...)
	@tools/install.sh

uninstall:                                 ## take them away again; a configuration that was edited stays
	@tools/install.sh --uninstall

fresh:                                     ## prove the README on a bare Debian 12 (as root, takes minutes)
	@tools/fresh.sh

clean:                                     ## remove what was built; build/state and its master key stay
	rm -rf $(addprefix $(BUILD)/,obj unit fuzz tools asan race clang libfuzzer coverage planted found run fresh \
	    fresh.log soak analyzer *-?????? bench* libllmux.a mod_llmux.so pools.so)

.PHONY: all units fuzzers help deps run test asan race fuzz replay lint bench soak docs install uninstall fresh clean
