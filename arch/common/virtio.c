// SPDX-License-Identifier: MIT
/* See virtio.h. No interrupts: who sends waits for the answer, which takes microseconds. */
#include "internal.h"
#include "virtio.h"

#define PATIENCE 100000000

enum {
	ACKNOWLEDGED = 1,
	DRIVER = 2,
	DRIVER_OK = 4,
};

virtio_t virtio_open(enum virtio_kind kind, uint32_t *features)
{
	virtio_t device = virtio_find(kind);

	if (!device) {
		*features = 0;
		return 0;
	}
	virtio_write(device, VIRTIO_STATUS, 0);
	virtio_write(device, VIRTIO_STATUS, ACKNOWLEDGED | DRIVER);
	*features &= virtio_read(device, VIRTIO_HOST_FEATURES);
	virtio_write(device, VIRTIO_GUEST_FEATURES, *features);
	return device;
}

bool virtio_queue_init(struct virtio_queue *queue, virtio_t device, uint16_t number,
		       struct virtio_ring *ring)
{
	size_t available, used;

	virtio_write(device, VIRTIO_QUEUE_SELECT, number);
	queue->size = (uint16_t)virtio_read(device, VIRTIO_QUEUE_MAX);
	if (!queue->size || queue->size > VIRTIO_MAX_QUEUE)
		return false;
	available = queue->size * sizeof(struct virtio_desc);
	used = (available + 6 + 2 * queue->size + VIRTIO_PAGE - 1) & -(size_t)VIRTIO_PAGE;
	memset(ring, 0, sizeof(*ring));
	queue->device = device;
	queue->number = number;
	queue->requests = 0;
	queue->desc = (void *)ring->bytes;
	queue->available = (void *)(ring->bytes + available);
	queue->used = (void *)(ring->bytes + used);
	virtio_write(device, VIRTIO_QUEUE_PAGE, (uint32_t)(arch_phys(ring) / VIRTIO_PAGE));
	return true;
}

void virtio_go(virtio_t device)
{
	virtio_write(device, VIRTIO_STATUS, ACKNOWLEDGED | DRIVER | DRIVER_OK);
}

bool virtio_send(struct virtio_queue *queue, uint64_t phys, uint32_t len, uint16_t flags)
{
	/* One request at a time: always the first descriptor, whose number 0 is in every ring entry. */
	queue->desc[0] = (struct virtio_desc){ .phys = phys, .len = len, .flags = flags };
	atomic_thread_fence(memory_order_release);
	queue->available[1] = ++queue->requests;
	atomic_thread_fence(memory_order_seq_cst);
	virtio_write(queue->device, VIRTIO_NOTIFY, queue->number);
	for (unsigned int i = 0; i < PATIENCE; i++) {
		if (queue->used[1] == queue->requests) {
			atomic_thread_fence(memory_order_acquire);
			return true;
		}
		arch_relax();
	}
	return false;
}
