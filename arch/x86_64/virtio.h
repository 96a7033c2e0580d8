/* SPDX-License-Identifier: MIT */
/* Virtio devices on the PCI bus, in the older form ("legacy"): all registers are I/O ports. */
#ifndef ARCH_X86_64_VIRTIO_H
#define ARCH_X86_64_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTIO_MAX_QUEUE 256u
#define VIRTIO_PAGE 4096u

/* PCI device numbers; the vendor is 0x1af4. */
enum virtio_kind {
	VIRTIO_BALLOON = 0x1002,
	VIRTIO_CONSOLE = 0x1003,
};

struct virtio_desc {
	uint64_t phys;
	uint32_t len;
	uint16_t flags, next;
};

/* The device knows the first page's number only; where things are follows from the queue's size. */
struct virtio_ring {
	uint8_t bytes[4 * VIRTIO_PAGE];
} __attribute__((aligned(VIRTIO_PAGE)));

/* One request in it at a time. */
struct virtio_queue {
	uint16_t port, number, size;
	uint16_t requests; /* made, ever */
	struct virtio_desc *desc;
	volatile uint16_t *available, *used; /* [1]: how many, ever */
};

/* Flag of a descriptor: the device may write to that memory. */
#define VIRTIO_TO_DRIVER 2u

/**
 * virtio_find - the first device of that kind, reset
 * @features: what is wanted, then what of it the device has; 0 without a device
 *
 * Return: its first port, or 0.
 */
uint16_t virtio_find(enum virtio_kind kind, uint32_t *features);
/* Return: false if there is no such queue, or it is too long for @ring. */
bool virtio_queue_init(struct virtio_queue *queue, uint16_t port, uint16_t number,
		       struct virtio_ring *ring);
/* All queues are there. */
void virtio_go(uint16_t port);

/**
 * virtio_send - hand physical memory to the device, and wait until it is done with it
 * @flags: 0: it is to be read
 *
 * irq: any; spins. Return: false: no answer for long.
 */
bool virtio_send(struct virtio_queue *queue, uint64_t phys, uint32_t len, uint16_t flags);

#endif
