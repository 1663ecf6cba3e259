# ViperDB for Lua. `make help` tells what there is.
#
# Everything built goes to build/: build/5.4/viperdb/core.so is the module for Lua 5.4, build/jit/... the one
# for LuaJIT. The engine and its text helpers know nothing of Lua, so their objects serve every module.
# With SAN=address,undefined the same tree is built in build/address-undefined/.

LUA ?= lua5.4
CFLAGS ?= -O2 -g
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
MAKEFLAGS += --no-builtin-rules $(if $(filter 0,$(MAKELEVEL)),-j$(JOBS))
.SECONDARY:
.DELETE_ON_ERROR:

LUAS = lua5.1 lua5.2 lua5.3 lua5.4 luajit
ABIS = 5.1 5.2 5.3 5.4 jit
abi_of = $(patsubst lua%,%,$(notdir $(1)))
ABI := $(call abi_of,$(LUA))
ifeq ($(filter $(ABI),$(ABIS)),)
$(error LUA=$(LUA) is not known here: take one of $(LUAS))
endif

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
BASE_FLAGS = -fPIC -fvisibility=hidden -pthread $(WARNINGS) -MMD -MP

comma = ,
BUILD = build
ifdef SAN
BUILD = build/$(subst $(comma),-,$(SAN))
SAN_FLAGS = -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -O1
# gcc says that its thread sanitizer overlooks fences; clang doesn't know that warning.
SAN_FLAGS += $(if $(filter thread,$(SAN)),-Wno-unknown-warning-option -Wno-tsan)
endif
COMPILE = $(CC) $(CPPFLAGS) $(CFLAGS) $(BASE_FLAGS) $(SAN_FLAGS)
LINK = $(CC) $(SAN_FLAGS)
LIBS = $(LDFLAGS) -pthread -lm

# Says what is made; with V=1 how.
SAY = $(if $(V),,@echo '  $@';)

ENGINE = $(patsubst src/%.c,$(BUILD)/obj/%.o,$(wildcard src/engine/*.c src/text/*.c))
BINDING = $(notdir $(wildcard src/binding/*.c))
LIBRARY = $(BUILD)/libviperdb.a

# The engine of tests named *_steps_test.c: it calls out at each step of a write, and small constants make it grow,
# split and map anew all the time.
STEPS_FLAGS = -DOS_STEPS -DINDEX_BLOCK=4096u -DINDEX_FIRST_DEPTH=2u -DLOG_EXTENT=4096 -DOS_ROOM=65536u -DGROWTH_MOST=65536u
STEPS_ENGINE = $(ENGINE:$(BUILD)/obj/%=$(BUILD)/steps/obj/%)
STEPS_LIBRARY = $(BUILD)/steps/libviperdb.a
MODULES = $(ABIS:%=$(BUILD)/%/viperdb/core.so)

C_TESTS = $(patsubst %.c,$(BUILD)/%,$(wildcard spec/engine/*_test.c)) \
  $(foreach abi,$(ABIS),$(patsubst %.c,$(BUILD)/$(abi)/%,$(wildcard spec/binding/*_test.c)))
FUZZERS = $(patsubst %.c,$(BUILD)/%,$(wildcard spec/fuzz/*_fuzz.c))
EXAMPLES = $(patsubst %.c,$(BUILD)/%,$(wildcard examples/*.c))
SPECS = $(wildcard spec/*_spec.lua)
HOST_SPECS = $(wildcard spec/nginx/*_spec.lua spec/nvim/*_spec.lua)

.PHONY: all help demo run-demo soak test test-programs tsan test-threads lib nvim clean
.PHONY: format lint lint-format lint-tidy lint-cppcheck lint-luacheck lint-tree

all:
	@tools/need build headers:$(LUA)
	@$(MAKE) --no-print-directory $(BUILD)/$(ABI)/viperdb/core.so

help:
	@echo 'make           the module for one Lua, build/$(ABI)/viperdb/core.so; LUA=lua5.1 ... lua5.4, luajit'
	@echo 'make demo      14,000 real records through a store, checked; LUA=luajit for another Lua'
	@echo 'make test      every test under every Lua; SAN=address,undefined with sanitizers'
	@echo 'make tsan      the tests with threads, with the thread sanitizer'
	@echo 'make bench     other stores beside this one; KEYS=100000 RUNS=1 to try it; see docs/BENCHMARKS.md'
	@echo 'make soak      the long versions of the tests that kill, cut the power and change the order of things'
	@echo 'make lint      formatting, static analysis, and the rules of the tree'
	@echo 'make format    formats the C files'
	@echo 'make lib       build/libviperdb.a, the engine for C programs (see examples/hello.c)'
	@echo 'make nvim      the module where Neovim finds it in this folder'
	@echo 'make clean     removes what was built'
	@echo
	@echo 'demo, test and lint install what they need on Debian, with sudo or as root, when something is missing.'
	@echo 'V=1 shows the commands, WERROR=1 makes warnings errors; CC and CFLAGS are as everywhere.'

# The parts.

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) -c -o $@ $<

$(LIBRARY): $(ENGINE)
	@rm -f $@
	$(SAY)$(AR) rcs $@ $^

# The headers are asked for when a file is compiled, not before: they may have been installed just now.
define module_of
$(BUILD)/$(1)/obj/%.o: src/binding/%.c
	@mkdir -p $$(@D)
	$$(SAY)$$(COMPILE) $$(shell pkg-config --cflags $(2)) -c -o $$@ $$<

$(BUILD)/$(1)/viperdb/core.so: $(BINDING:%.c=$(BUILD)/$(1)/obj/%.o) $(ENGINE)
	@mkdir -p $$(@D)
	$$(SAY)$$(LINK) -shared -o $$@ $$^ $$(LIBS)

$(BUILD)/$(1)/spec/binding/%: spec/binding/%.c $(BINDING:%.c=$(BUILD)/$(1)/obj/%.o) $(LIBRARY)
	@mkdir -p $$(@D)
	$$(SAY)$$(COMPILE) $$(shell pkg-config --cflags $(2)) -o $$@ $$(filter-out %.h,$$^) $$(LIBS) $$(shell pkg-config --libs $(2))
endef
$(foreach lua,$(LUAS),$(eval $(call module_of,$(call abi_of,$(lua)),$(lua))))

# This test lets the allocations of the engine and the binding fail.
$(ABIS:%=$(BUILD)/%/spec/binding/memory_test): LIBS += $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc)

$(BUILD)/spec/engine/%: spec/engine/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) -o $@ $< $(LIBRARY) $(LIBS)

$(BUILD)/spec/fuzz/replay.o: spec/fuzz/replay.c
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) -c -o $@ $<

$(BUILD)/steps/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) $(STEPS_FLAGS) -c -o $@ $<

$(STEPS_LIBRARY): $(STEPS_ENGINE)
	@rm -f $@
	$(SAY)$(AR) rcs $@ $^

$(BUILD)/spec/engine/%_steps_test: spec/engine/%_steps_test.c $(STEPS_LIBRARY)
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) $(STEPS_FLAGS) -o $@ $< $(STEPS_LIBRARY) $(LIBS)

# Fuzz targets may use the codecs of the binding, so they get all of it, for Lua 5.4.
FUZZED = $(BUILD)/spec/fuzz/replay.o $(BINDING:%.c=$(BUILD)/5.4/obj/%.o) $(LIBRARY)
$(BUILD)/spec/fuzz/%: spec/fuzz/%.c $(FUZZED)
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) $(shell pkg-config --cflags lua5.4) -o $@ $< $(FUZZED) $(LIBS) $(shell pkg-config --libs lua5.4)

$(BUILD)/examples/%: examples/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(SAY)$(COMPILE) -Isrc/engine -o $@ $< $(LIBRARY) $(LIBS)

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/*/obj/*.d $(BUILD)/*/obj/*/*.d)
-include $(wildcard $(BUILD)/spec/*/*.d $(BUILD)/*/spec/*/*.d $(BUILD)/examples/*.d)

lib:
	@tools/need build
	@$(MAKE) --no-print-directory $(LIBRARY)

# One 5.1 build serves PUC 5.1, LuaJIT, Neovim and nginx.
nvim:
	@tools/need build headers:lua5.1
	@$(MAKE) --no-print-directory lua/viperdb/core.so

lua/viperdb/core.so: $(BUILD)/5.1/viperdb/core.so
	@cp $< $@.new && mv $@.new $@

clean:
	rm -rf build lua/viperdb/core.so viperdb src/*/*.o

# The demo on real input.

demo:
	@tools/need build $(LUA) demo:$(LUA)
	@$(MAKE) --no-print-directory --silent run-demo

run-demo: $(BUILD)/$(ABI)/viperdb/core.so
	@VIPERDB_BUILD=$(BUILD) tools/with-lua $(LUA) examples/demo.lua

# The tests: one prove run over names that tools/run-test knows, so that its last line counts them all.
# Rock, Neovim and nginx are not started with a sanitizer's runtime, so they have no part in a run with SAN.
# Neovim and nginx are asked by specs under LuaJIT, and load the build for 5.1.

TESTS = $(foreach lua,$(LUAS) luajit-with-5.1,$(SPECS:%=$(lua):%)) \
  $(C_TESTS) $(FUZZERS) $(EXAMPLES) $(LUAS:%=demo:%) \
  $(if $(SAN),,$(HOST_SPECS:%=luajit-with-5.1:%) $(patsubst %,rock:%,$(filter-out luajit,$(LUAS))))

test:
	@tools/need build $(LUAS) $(LUAS:%=demo:%) nginx test
	@$(MAKE) --no-print-directory test-programs
	@VIPERDB_BUILD=$(BUILD) SAN=$(SAN) prove --timer -j$(JOBS) --exec tools/run-test $(TESTS)

# The tests with threads, under the thread sanitizer: those of the engine, and of Lua states.
tsan:
	@tools/need build headers:lua5.4 headers:luajit test
	@$(MAKE) --no-print-directory SAN=thread test-threads

THREAD_TESTS = $(patsubst %,$(BUILD)/spec/engine/%,threads_test interleave_steps_test growth_race_steps_test) \
  $(patsubst %,$(BUILD)/%/spec/binding/states_test,5.4 jit)
test-threads: $(THREAD_TESTS)
	@prove --timer --exec tools/run-test $(THREAD_TESTS)

test-programs: $(MODULES) $(C_TESTS) $(FUZZERS) $(EXAMPLES) $(if $(SAN),,lua/viperdb/core.so)

# The long versions of what looks for rare moments: more than ten thousand processes are killed.
SOAKED = death growth_race index interleave model power
SOAK_TESTS = $(SOAKED:%=$(BUILD)/spec/engine/%_steps_test) $(BUILD)/spec/engine/power_test \
  $(BUILD)/spec/engine/threads_test $(BUILD)/spec/engine/fault_test $(BUILD)/spec/engine/call_death_test \
  luajit:spec/nginx/workers_spec.lua

soak:
	@tools/need build luajit test
	@$(MAKE) --no-print-directory test-programs
	@SOAK=130 VIPERDB_BUILD=$(BUILD) prove --exec tools/run-test $(BUILD)/spec/engine/process_steps_test
	@SOAK=10 VIPERDB_BUILD=$(BUILD) prove --timer --exec tools/run-test $(SOAK_TESTS)

# Lint.

C_FILES = $(wildcard src/*/*.c spec/*/*.c examples/*.c bench/*.c bench/*/*.c)
H_FILES = $(wildcard src/*/*.h spec/*/*.h bench/*.h)
TIDY_FLAGS = $(WARNINGS) -Isrc/engine $(shell pkg-config --cflags lua5.4)

lint:
	@tools/need build lint
	@$(MAKE) --no-print-directory --keep-going --output-sync=target \
	  lint-format lint-tidy lint-cppcheck lint-luacheck lint-tree

lint-format:
	@clang-format --dry-run -Werror $(C_FILES) $(H_FILES)

format:
	clang-format -i $(C_FILES) $(H_FILES)

lint-tidy: $(C_FILES:%=build/tidy/%)

build/tidy/%: % .clang-tidy spec/.clang-tidy $(H_FILES)
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(TIDY_FLAGS) $(if $(findstring _steps_,$<),$(STEPS_FLAGS)) 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

# Off: incorrectLogicOperator, as it misreads hexadecimal floats and so takes a range of them for empty, and
# the two about uninitialized variables, as it takes the address of one for a use. The compilers look for both.
lint-cppcheck:
	@cppcheck --quiet --inline-suppr --error-exitcode=1 --enable=warning,performance,portability -j$(JOBS) \
	  --suppress=incorrectLogicOperator --suppress=uninitvar --suppress=legacyUninitvar -Isrc/engine $(C_FILES)

lint-luacheck:
	@luacheck --quiet --no-color lua spec examples tools bench .luacheckrc .busted

lint-tree:
	@lua5.4 tools/lint-tree.lua

# The benchmark: ViperDB beside other stores, see docs/BENCHMARKS.md. One program for each file in bench/stores.

KEYS ?= 1000000
RUNS ?= 3
KILLS ?= 200
BENCH = $(BUILD)/bench
BENCH_STORES = $(patsubst bench/stores/%.c,%,$(wildcard bench/stores/*.c))
BENCH_OBJECTS = $(patsubst bench/%.c,$(BENCH)/obj/%.o,$(filter-out bench/floors.c,$(wildcard bench/*.c)))
BENCH_LUA_STORES = lmdb gdbm

LIBS_viperdb = $(LIBRARY)
LIBS_lmdb = -llmdb
LIBS_kyoto = -lkyotocabinet
LIBS_tkrzw = -ltkrzw
LIBS_tokyo = -ltokyocabinet
LIBS_gdbm = -lgdbm
LIBS_leveldb = -lleveldb
LIBS_rocksdb = -lrocksdb
LIBS_sqlite = -lsqlite3

.PHONY: bench bench-report bench-programs
bench:
	@tools/need build headers:lua5.4 headers:luajit lua5.4 luajit nginx bench
	@$(MAKE) --no-print-directory bench-programs
	@lua5.4 bench/run.lua $(KEYS) $(RUNS) $(KILLS) $(BUILD)
	@$(MAKE) --no-print-directory bench-report

# Of what was measured last.
bench-report:
	@lua5.4 bench/report.lua $(BENCH)/results/$(KEYS)

bench-programs: $(BENCH_STORES:%=$(BENCH)/%) $(BENCH)/floors $(BUILD)/5.4/viperdb/core.so $(BUILD)/jit/viperdb/core.so
bench-programs: $(foreach abi,5.4 jit,$(BENCH_LUA_STORES:%=$(BENCH)/lua/$(abi)/%.so))

$(BENCH)/obj/%.o: bench/%.c
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

$(BENCH_STORES:%=$(BENCH)/%): $(BENCH)/%: $(BENCH)/obj/stores/%.o $(BENCH_OBJECTS) $(LIBRARY)
	$(LINK) -pthread -o $@ $(filter %.o,$^) $(LIBS_$*) -lm

$(BENCH)/floors: $(addprefix $(BENCH)/obj/,floors.o measure.o input.o)
	$(LINK) -o $@ $^ -lm

define bench_binding
$(BENCH)/obj/$(1)/binding.o: bench/lua/binding.c
	@mkdir -p $$(@D)
	$$(COMPILE) $$(shell pkg-config --cflags $(2)) -c -o $$@ $$<

$(BENCH)/lua/$(1)/%.so: $(BENCH)/obj/$(1)/binding.o $(BENCH)/obj/measure.o $(BENCH)/obj/stores/%.o
	@mkdir -p $$(@D)
	$$(LINK) -shared -o $$@ $$^ $$(LIBS_$$*)
endef
$(eval $(call bench_binding,5.4,lua5.4))
$(eval $(call bench_binding,jit,luajit))

-include $(wildcard $(BENCH)/obj/*.d $(BENCH)/obj/*/*.d)
