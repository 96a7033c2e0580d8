// SPDX-License-Identifier: MIT
/* See virtio.h. No interrupts: who sends waits for the answer, which takes microseconds. */
#include "internal.h"
#include "virtio.h"

#define VENDOR 0x1af4u
#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
#define PCI_COMMAND 4
#define PCI_BAR0 16
#define PCI_PORTS_AND_MASTER 5
#define PATIENCE 100000000

/* Registers, from the first port on. */
enum {
	HOST_FEATURES = 0,
	GUEST_FEATURES = 4,
	QUEUE_PAGE = 8,
	QUEUE_SIZE = 12,
	QUEUE_SELECT = 14,
	QUEUE_NOTIFY = 16,
	STATUS = 18,
};

enum {
	ACKNOWLEDGED = 1,
	DRIVER = 2,
	DRIVER_OK = 4,
};

static void pci_point(unsigned int function, unsigned int offset)
{
	outl(PCI_ADDRESS, 0x80000000u | function << 8 | offset);
}

static uint32_t pci_read(unsigned int function, unsigned int offset)
{
	pci_point(function, offset);
	return inl(PCI_DATA);
}

static uint16_t enable(unsigned int function, uint32_t *features)
{
	uint32_t bar = pci_read(function, PCI_BAR0);
	uint16_t port = (uint16_t)(bar & 0xfffc);

	if (!(bar & 1) || !port) {
		*features = 0;
		return 0;
	}
	pci_point(function, PCI_COMMAND);
	outw(PCI_DATA, PCI_PORTS_AND_MASTER);
	outb(port + STATUS, 0);
	outb(port + STATUS, ACKNOWLEDGED | DRIVER);
	*features &= inl(port + HOST_FEATURES);
	outl(port + GUEST_FEATURES, *features);
	return port;
}

/* Bus 0 is all that an emulator without bridges has: 32 devices of 8 functions. */
uint16_t virtio_find(enum virtio_kind kind, uint32_t *features)
{
	for (unsigned int function = 0; function < 256; function++)
		if (pci_read(function, 0) == (VENDOR | (uint32_t)kind << 16))
			return enable(function, features);
	*features = 0;
	return 0;
}

bool virtio_queue_init(struct virtio_queue *queue, uint16_t port, uint16_t number,
		       struct virtio_ring *ring)
{
	size_t available, used;

	outw(port + QUEUE_SELECT, number);
	queue->size = inw(port + QUEUE_SIZE);
	if (!queue->size || queue->size > VIRTIO_MAX_QUEUE)
		return false;
	available = queue->size * sizeof(struct virtio_desc);
	used = (available + 6 + 2 * queue->size + VIRTIO_PAGE - 1) & -(size_t)VIRTIO_PAGE;
	memset(ring, 0, sizeof(*ring));
	queue->port = port;
	queue->number = number;
	queue->requests = 0;
	queue->desc = (void *)ring->bytes;
	queue->available = (void *)(ring->bytes + available);
	queue->used = (void *)(ring->bytes + used);
	outl(port + QUEUE_PAGE, (uint32_t)(arch_phys(ring) / VIRTIO_PAGE));
	return true;
}

void virtio_go(uint16_t port)
{
	outb(port + STATUS, ACKNOWLEDGED | DRIVER | DRIVER_OK);
}

bool virtio_send(struct virtio_queue *queue, uint64_t phys, uint32_t len, uint16_t flags)
{
	/* One request at a time: always the first descriptor, whose number 0 is in every ring entry. */
	queue->desc[0] = (struct virtio_desc){ .phys = phys, .len = len, .flags = flags };
	atomic_thread_fence(memory_order_release);
	queue->available[1] = ++queue->requests;
	atomic_thread_fence(memory_order_seq_cst);
	outw(queue->port + QUEUE_NOTIFY, queue->number);
	for (unsigned int i = 0; i < PATIENCE; i++) {
		if (queue->used[1] == queue->requests) {
			atomic_thread_fence(memory_order_acquire);
			return true;
		}
		arch_relax();
	}
	return false;
}
