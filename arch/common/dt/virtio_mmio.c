// SPDX-License-Identifier: MIT
/* Virtio devices whose registers are in memory, where the device tree says. Places may be empty. */
#include "internal.h"
#include "tree.h"
#include "virtio.h"

#define MAGIC 0x74726976u
#define OLDER_FORM 1u
#define BYTES 0x200u

enum {
	REG_MAGIC = 0x00,
	REG_VERSION = 0x04,
	REG_KIND = 0x08,
	REG_HOST_FEATURES = 0x10,
	REG_GUEST_FEATURES = 0x20,
	REG_PAGE_SIZE = 0x28,
	REG_QUEUE_SELECT = 0x30,
	REG_QUEUE_MAX = 0x34,
	REG_QUEUE_SIZE = 0x38,
	REG_QUEUE_ALIGN = 0x3c,
	REG_QUEUE_PAGE = 0x40,
	REG_NOTIFY = 0x50,
	REG_STATUS = 0x70,
};

static const uint8_t registers[] = {
	[VIRTIO_HOST_FEATURES] = REG_HOST_FEATURES,
	[VIRTIO_GUEST_FEATURES] = REG_GUEST_FEATURES,
	[VIRTIO_QUEUE_SELECT] = REG_QUEUE_SELECT,
	[VIRTIO_QUEUE_MAX] = REG_QUEUE_MAX,
	[VIRTIO_QUEUE_PAGE] = REG_QUEUE_PAGE,
	[VIRTIO_NOTIFY] = REG_NOTIFY,
	[VIRTIO_STATUS] = REG_STATUS,
};

static uint32_t get(virtio_t device, unsigned int reg)
{
	return *(volatile uint32_t *)(device + reg);
}

static void set(virtio_t device, unsigned int reg, uint32_t value)
{
	*(volatile uint32_t *)(device + reg) = value;
}

virtio_t virtio_find(enum virtio_kind kind)
{
	struct fdt_node node = { 0 };
	uint64_t phys;

	while (fdt_next(&tree, &node)) {
		virtio_t device;

		if (!fdt_is(&node, "virtio_mmio") || !fdt_number(&tree, &node, "reg", 0, 2, &phys))
			continue;
		device = (virtio_t)arch_map_phys(phys, BYTES, true);
		if (device && get(device, REG_MAGIC) == MAGIC &&
		    get(device, REG_VERSION) == OLDER_FORM && get(device, REG_KIND) == kind)
			return device;
	}
	return 0;
}

/* Of the length of a queue what is wanted can be said, up to what the device can have. */
uint32_t virtio_read(virtio_t device, enum virtio_register reg)
{
	uint32_t value = get(device, registers[reg]);

	return reg == VIRTIO_QUEUE_MAX && value > VIRTIO_MAX_QUEUE ? VIRTIO_MAX_QUEUE : value;
}

/* A queue's pages are as large as ours. */
void virtio_write(virtio_t device, enum virtio_register reg, uint32_t value)
{
	if (reg == VIRTIO_QUEUE_PAGE) {
		set(device, REG_PAGE_SIZE, VIRTIO_PAGE);
		set(device, REG_QUEUE_SIZE, virtio_read(device, VIRTIO_QUEUE_MAX));
		set(device, REG_QUEUE_ALIGN, VIRTIO_PAGE);
	}
	set(device, registers[reg], value);
}
