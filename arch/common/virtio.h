/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices in the older form ("legacy"), which is the same on all buses but for where registers are: the
 * machine has virtio_find(), virtio_read() and virtio_write() for the bus that it has.
 */
#ifndef ARCH_COMMON_VIRTIO_H
#define ARCH_COMMON_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTIO_MAX_QUEUE 256u
#define VIRTIO_PAGE 4096u

enum virtio_kind {
	VIRTIO_CONSOLE = 3,
	VIRTIO_BALLOON = 5,
};

enum virtio_register {
	VIRTIO_HOST_FEATURES,
	VIRTIO_GUEST_FEATURES,
	VIRTIO_QUEUE_SELECT,
	VIRTIO_QUEUE_MAX, /* how long it will be */
	VIRTIO_QUEUE_PAGE, /* written: the number of its first page */
	VIRTIO_NOTIFY,
	VIRTIO_STATUS,
};

/* Of a device: a port, or an address. */
typedef uintptr_t virtio_t;

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
	virtio_t device;
	uint16_t number, size;
	uint16_t requests; /* made, ever */
	struct virtio_desc *desc;
	volatile uint16_t *available, *used; /* [1]: how many, ever */
};

/* Flag of a descriptor: the device may write to that memory. */
#define VIRTIO_TO_DRIVER 2u

/* The first device of that kind, in the order of the bus. Return: 0: none. */
virtio_t virtio_find(enum virtio_kind kind);
uint32_t virtio_read(virtio_t device, enum virtio_register reg);
void virtio_write(virtio_t device, enum virtio_register reg, uint32_t value);

/**
 * virtio_open - the first device of that kind, reset
 * @features: what is wanted, then what of it the device has; 0 without a device
 *
 * Return: 0: none.
 */
virtio_t virtio_open(enum virtio_kind kind, uint32_t *features);
/* Return: false if there is no such queue, or it is too long for @ring. */
bool virtio_queue_init(struct virtio_queue *queue, virtio_t device, uint16_t number,
		       struct virtio_ring *ring);
/* All queues are there. */
void virtio_go(virtio_t device);

/**
 * virtio_send - hand physical memory to the device, and wait until it is done with it
 * @flags: 0: it is to be read
 *
 * irq: any; spins. Return: false: no answer for long.
 */
bool virtio_send(struct virtio_queue *queue, uint64_t phys, uint32_t len, uint16_t flags);

#endif
