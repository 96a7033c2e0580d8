# SPDX-License-Identifier: MIT
#
# The protocols of mm/ under the memory orders of C11, see hosttest/orders/orders.h; and each order weakened, compared
# with hosttest/orders.txt. ORDERS=short: without the ways that take long, as in make test.

orders_dir := build/orders$(suffix)
orders_objects := $(patsubst %.c,$(orders_dir)/%.o,$(wildcard hosttest/orders/*.c))
deps += $(orders_objects:.o=.d)

$(orders_dir)/%.o: %.c $(orders_dir)/flags
	$(say) CC $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(common_flags) $(CFLAGS) -MMD -MP -c -o $@ $<
$(orders_dir)/orders: $(orders_objects)
	$(say) LINK $@
	$(Q)$(CC) $(common_flags) $(CFLAGS) $(LDFLAGS) -o $@ $^
$(eval $(call flags-file,$(orders_dir)/flags,$$(CC) $$(common_flags) $$(CFLAGS) $$(LDFLAGS)))

run_orders = scripts/orders.py $(orders_dir)/orders --jobs $(JOBS)
.PHONY: orders
orders: $(orders_dir)/orders ## memory orders: every protocol, and each order weakened: ORDERS=short, TRACES=1, WRITE=1 for a new table
	$(Q)$(run_orders) $(if $(filter short,$(ORDERS)),--short) $(if $(filter 1,$(TRACES)),--traces) \
		$(if $(filter 1,$(WRITE)),--write)
