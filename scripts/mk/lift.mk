# SPDX-License-Identifier: MIT
# Help: Test
#
# mm/ alone, elsewhere: see scripts/lift.sh. LIFT=symbols, boot or snippets does one part.

lift: setup-lift ## lift mm/ out: build it alone for 4 CPUs, boot two barebones kernels made of it
	@scripts/lift.sh $(LIFT)
.PHONY: lift
