# SPDX-License-Identifier: MIT
# Help: Run, and look at it
#
# What the kernel knows of its heap, in files: it boots, runs LOAD='command; command' of its monitor,
# and writes to build/out/. kernel/export.h has the way out, scripts/export.py the other end.

LOAD ?= alloc 100;alloc 3000;alloc 3000;alloc 64K;pages 20;pages 1;graph 20000;graph 30000
exported = scripts/export.py --kernel $(kernel_elf) $(machine) --folder build/out

.PHONY: trace profile dump state pictures test-export test-pictures
trace: setup-run $(kernel_elf) ## run LOAD='command; ...' and save its events: build/out/trace.json
	$(Q)$(exported) --need trace.json --run 'trace on;$(LOAD);trace;halt'

profile: setup-run $(kernel_elf) ## run LOAD= with RATE=1 and save build/out/heap.pb, .folded, .txt
	$(Q)$(exported) --need heap.pb --need heap.folded --need heap.txt \
		--run 'profile $(or $(RATE),1);$(LOAD);profile pprof;profile folded;profile;halt'

dump: setup-run $(kernel_elf) ## run LOAD= and save the whole heap: build/out/heap.dump
	$(Q)$(exported) --need heap.dump --run 'profile $(or $(RATE),1);$(LOAD);dump;halt'

state: setup-run $(kernel_elf) ## run LOAD= and save what pictures are drawn from: build/out/map.json
	$(Q)$(exported) --need map.json --need history.json --run '$(LOAD);state;halt'

pictures: iso $(kernel_elf) ## all pictures of README and docs, made by the kernel: docs/img/
	$(Q)scripts/pictures.py --iso $(iso) --elf $(kernel_elf) --cpus 4 --mem 64M --out docs/img

test-pictures: setup-run $(kernel_elf) ## what pictures are drawn from, and whether they are
	$(Q)scripts/pictures_test.py $(kernel_elf)

test-export: setup-run $(kernel_elf) ## the way out of the kernel, with damage on the way
	$(Q)scripts/export_test.py $(kernel_elf)
