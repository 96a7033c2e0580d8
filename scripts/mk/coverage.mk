# SPDX-License-Identifier: MIT
#
# make coverage: the hosted suites, built by gcc to count lines and branches, and what of mm/ they reach.
# Suites that say nothing of mm/ (the harness's, the models) are left out. build/coverage/index.html shows
# each line. What does not count: branches of assertions and of checkers' MW_CHECK, one side of which is a bug
# in Marrow; and lines that a comment excludes. It fails under the goals.

$(eval $(call host-variant,host-coverage,-O1 --coverage -fprofile-update=atomic))
coverage_suites := $(filter-out harness model_% port,$(test_sources:hosttest/test_%.c=%))
coverage_rule := .*MW_(ASSERT|DASSERT|WASSERT|CHECK)\(.*

coverage: setup-coverage $(host-coverage_dir)/suites ## lines and branches of mm/ that the hosted suites reach
	$(Q)find $(host-coverage_dir) -name '*.gcda' -delete
	$(Q)mkdir -p build/coverage
	$(Q)$(host-coverage_dir)/suites --timeout 300 $(coverage_suites) >build/coverage/log || \
		{ grep -a '^not ok' build/coverage/log; exit 1; }
	$(Q)gcovr --root . --filter mm/ --object-directory $(host-coverage_dir) \
		--exclude-branches-by-pattern '$(coverage_rule)' --exclude-unreachable-branches \
		--html-details build/coverage/index.html --txt build/coverage/table \
		--fail-under-line 95 --fail-under-branch 85 $(host-coverage_dir)/mm; \
		status=$$?; cat build/coverage/table; exit $$status
.PHONY: coverage
