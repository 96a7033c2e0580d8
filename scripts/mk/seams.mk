# SPDX-License-Identifier: MIT
# Help: Test
#
# The kernel with seams (kernel/seams/runtime.c): before each access of mm/ and kernel/ to memory the
# turn may go to another CPU, when a seed says so. The tests that several CPUs share run in it, once for
# each seed. N=50 seeds; SEED=n replays one (with the same TESTS); ROUNDS=2 percent of long tests' rounds.

N ?= 50
SEED ?=
ROUNDS ?= 2
KEEP_GOING ?= yes
SEED_LIMIT ?= # processor seconds

seams_dir := build/kernel-seams$(suffix)$(on_arch)
seams_elf := $(seams_dir)/kernel.elf
seams_mine := $(filter mm/% kernel/%,$(kernel_c)) kernel/seams/runtime.c
seams_objects := $(seams_mine:%.c=$(seams_dir)/%.o) \
	$(filter-out $(seams_mine:%.c=$(kernel_dir)/%.o),$(kernel_objects))
deps += $(seams_mine:%.c=$(seams_dir)/%.d)
seams_flags = $(if $(filter kernel/seams/%,$(1)),, \
	-fsanitize=thread --param tsan-instrument-func-entry-exit=0)

$(seams_dir)/%.o: %.c $(kernel_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(KCC) $(kernel_flags) $(KCFLAGS) $(call seams_flags,$<) -MMD -MP -c -o $@ $<
$(eval $(call kernel-link,$(seams_dir),$(seams_objects)))

# What several CPUs share, and nothing that is one CPU's own or waits for a second to pass: Marrow's own, TESTS=own, which
# make test runs; and the kernel's.
seed_own := page_race.four_cpus_with_room page_race.four_cpus_without_room page_race.regions_change_meanwhile \
	page_limits.all_cpus_exhaust_at_once page_limits.stocks_of_others_are_found \
	object_cpus.random_on_all_cpus object_cpus.producer_and_consumer object_frees.two_frees_at_once \
	object_cpus.cpus_stop_and_start object_cpus.out_of_memory_on_all_cpus misuse.double_free_across_cpus \
	gc_race.collectors_on_every_cpu gc_race.mutators_among_collections gc_race.pointers_in_registers_of_another_cpu \
	leak_cpus.no_false_report_while_all_allocate safe_cpus.nothing_dangling_is_used_again safe_cpus.the_mode_comes_and_goes \
	special_many.many_cpus_at_once watch_trace.readers_see_whole_entries watch_profile.rates_change_under_way \
	watch_live.freed_elsewhere base_meta.fixed_walk_while_others_allocate base_meta.persist_from_four_cpus \
	workers.finalizers_run_by_themselves
seed_suites := $(seed_own) base_lock.one_at_a_time linux.mempool_in_parallel \
	port.rivals_take_turns port.stopped_cpus_stand_still port.no_two_cpus_have_one_number \
	smp stop.work_is_run_once_by_each stop.all_ask_at_once stop.the_pinned_answer_when_they_unpin \
	thread.threads_stop_the_world thread.threads_allocate thread.no_wakeup_is_lost thread.mutex_keeps_others_out \
	thread.idle_cpus_take_work workers.woken_from_anywhere workers.no_call_is_lost \
	workers.interrupts_allocate_through_cycles
SEED_TESTS = $(TESTS)
test: SEED_TESTS = $(if $(filter all,$(TESTS)),own,$(TESTS))
space := $() $()
seed_list = $(if $(filter all,$(SEED_TESTS)),$(seed_suites),$(if $(filter own,$(SEED_TESTS)),$(seed_own),$(SEED_TESTS)))
seed_tests = $(subst $(space),$(comma),$(strip $(seed_list)))

# Time is counted in instructions, so the frequency of the clock is known. Timers interrupt as well: gap.
seeded := --icount --cpus 4 --mem 256M
seed_args = test=$(seed_tests) tsc_hz=1000000000 gap=20000 rounds=$(ROUNDS)
seed_again = $(if $(filter all,$(SEED_TESTS)),, TESTS=$(SEED_TESTS))$(if $(filter 2,$(ROUNDS)),, ROUNDS=$(ROUNDS))
run_seeds = scripts/ktap.py --kernel $(seams_elf) $(seeded) --log build/log/seed --jobs $(JOBS) \
	--append '$(seed_args)' --limit 600 $(if $(strip $(SEED_LIMIT)),--cpu-limit $(SEED_LIMIT)) --again '$(seed_again)' $(if $(KEEP_GOING),--keep-going) \
	--seeds $(if $(SEED),$(SEED)-$(SEED),1-$(N))

.PHONY: seeds seeds-gdb races
seeds: setup-run $(seams_elf) ## tests of several CPUs under N=50 seeded interleavings, or one: SEED= TESTS= ROUNDS=2
	$(Q)mkdir -p build/log
	$(Q)$(run_seeds)

seeds-gdb: setup-run setup-gdb $(seams_elf) ## the interleaving SEED=n, stopped, with gdb attached: TESTS= ROUNDS=2
	$(Q)scripts/run.py --kernel $(seams_elf) $(seeded) --append '$(seed_args) seed=$(or $(SEED),1)' \
		--gdb $(gdb) --log build/console.log

races: setup-run setup-kernel ## plant races one at a time; the seed that falls into each, of at most 200: RACES=names
	$(Q)scripts/races.py --jobs $(JOBS) $(RACES)
