# SPDX-License-Identifier: MIT
#
# The analyzers that take minutes: not in make check.

analyze: setup-analyze ## gcc -fanalyzer and clang-tidy over mm/; what is excepted is in scripts/check/analyze.txt
	$(Q)scripts/analyze.py
.PHONY: analyze
