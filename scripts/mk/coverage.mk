# SPDX-License-Identifier: MIT
# Help: Check and prove
#
# make coverage: the hosted suites, built by gcc to count lines and branches, and what of mm/ they reach.
# Suites that say nothing of mm/ (the harness's, the models) are left out; whether tests pass is for make test to say.
# build/coverage/index.html shows each line. Lines are counted in all of mm/. Of branches these do not count:
# those of assertions and of checkers' MW_CHECK, one side of which is a bug in Marrow. What is forced inline
# elsewhere, once for each constant, is a function here, and counts once. Tests are not counted themselves: it
# would leave more dead pointers in their frames, where a collection finds them; and each suite has a process to
# itself, as the data of others is a root too. It fails under the goals.

$(eval $(call host-variant,host-coverage,))
coverage_flags := --coverage -fprofile-update=atomic -Dalways_inline=noinline -Wno-attributes
$(host-coverage_dir)/mm/%.o: private host_flags += $(coverage_flags)
$(host-coverage_dir)/suites: private host_flags += --coverage
coverage_suites := $(filter-out harness model_% port,$(test_sources:hosttest/test_%.c=%))
coverage_run = gcovr --root . --filter mm/ --object-directory $(host-coverage_dir)

coverage: setup-coverage $(host-coverage_dir)/suites ## lines and branches of mm/ that the hosted suites reach
	$(Q)find $(host-coverage_dir) -name '*.gcda' -delete
	$(Q)mkdir -p build/coverage
	$(Q)for suite in $(coverage_suites); do \
		$(host-coverage_dir)/suites --timeout 300 $$suite; done >build/coverage/log; \
		grep -a '^not ok' build/coverage/log || :
	$(Q)$(coverage_run) --html-details build/coverage/index.html --txt build/coverage/lines \
		--fail-under-line 95 $(host-coverage_dir)/mm; status=$$?; cat build/coverage/lines; exit $$status
	$(Q)$(coverage_run) --branches --txt build/coverage/branches --fail-under-branch 85 \
		--exclude-branches-by-pattern '.*MW_(ASSERT|DASSERT|WASSERT|CHECK)\(.*' --exclude-unreachable-branches \
		$(host-coverage_dir)/mm; \
		status=$$?; cat build/coverage/branches; exit $$status
.PHONY: coverage
