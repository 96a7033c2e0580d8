# SPDX-License-Identifier: MIT
#
# make help lists the targets. Files are picked up by wildcard, everything built lands in build/.
# The parts: scripts/mk/toolchain.mk (who compiles, with which flags), host.mk (the runners for
# Linux), kernel.mk (the kernel), run.mk (the kernel for people), test.mk.

all: kernel host ## build the kernel and the hosted tests (the default)

help: ## list the targets
	@awk -F ':.*## ' 'FNR == 1 { group = "Build" } /^# Help: / { group = substr($$0, 9) } \
		/^[a-z0-9-]+:.*## / { text[group] = text[group] sprintf("  %-14s %s\n", $$1, $$2) } \
		END { n = split("Build/Run, and look at it/Test/Check and prove/Measure", names, "/"); \
			for (i = 1; i <= n; i++) printf "%s\n%s\n", names[i], text[names[i]] }' $(MAKEFILE_LIST)

clean: ## remove build/
	$(Q)rm -rf build

.PHONY: all help clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
export PYTHONDONTWRITEBYTECODE := 1

first := $(addprefix scripts/mk/,toolchain.mk host.mk kernel.mk preload.mk)
include $(first) $(filter-out $(first),$(sort $(wildcard scripts/mk/*.mk)))

-include $(deps)
