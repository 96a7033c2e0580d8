# SPDX-License-Identifier: MIT
# Help: Check and prove
#
# The analyzers that take minutes: not in make check.

analyze: setup-analyze ## gcc -fanalyzer and clang-tidy over mm/; what is excepted is in scripts/check/analyze.txt
	$(Q)scripts/analyze.py
.PHONY: analyze

# A mark decides by words that nobody has written, and what it decided is undefined to valgrind from then on: left
# out are the suites in which that gets further than the mark. harness fails on purpose; steps (%_step) need
# breakpoints and a trap flag that valgrind's processor does not have.
memcheck_not := faults gc gc_cost gc_forms gc_race gc_storm gc_sweep harness leak leak_cpus object_cpus object_frees page_fit \
	port safe_cpus special_many watch_dump watch_live watch_sinks %_step
memcheck = valgrind --quiet --error-exitcode=9 --num-callers=40 --suppressions=scripts/check/memcheck.supp

memcheck: setup-host setup-memcheck $(host_runners) ## valgrind's memcheck over the hosted suites, but for those that read others' stacks
	$(Q)prove --timer -j$(JOBS) --exec '$(memcheck)' $(filter-out $(memcheck_not:%=$(host_dir)/test_%),$(host_runners))
.PHONY: memcheck
