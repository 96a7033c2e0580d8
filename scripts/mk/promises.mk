# SPDX-License-Identifier: MIT
# Help: Test
#
# make promises: run the tests that attack what README.md and the public headers promise.

.PHONY: promises
promises: setup-host $(host_runners) $(host-gc0_common) ## run the tests that attack each promise of README and headers
	$(Q)nice scripts/promises.py
