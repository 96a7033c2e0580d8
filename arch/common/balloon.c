// SPDX-License-Identifier: MIT
/*
 * Free memory for the host: a virtio balloon's free page reporting. The driver names a range that it
 * does not use, the device forgets what is in it, says so, and the next access gets new frames. So
 * nothing has to be asked for when the memory is wanted again.
 */
#include "internal.h"
#include "virtio.h"

/* Features that add queues; theirs come in this order, behind those for inflating and deflating. */
#define STATISTICS (1u << 1)
#define HINTS (1u << 3)
#define REPORTING (1u << 5)

static ARCH_PLAIN struct virtio_ring ring;
static struct virtio_queue queue;
static bool present;

void balloon_init(void)
{
	uint32_t features = STATISTICS | HINTS | REPORTING;
	virtio_t device = virtio_open(VIRTIO_BALLOON, &features);
	uint16_t number = 2 + !!(features & STATISTICS) + !!(features & HINTS);

	present = device && (features & REPORTING) &&
		  virtio_queue_init(&queue, device, number, &ring);
	if (present)
		virtio_go(device);
}

bool arch_report_present(void)
{
	return present;
}

bool arch_report_free(void *pages, size_t len)
{
	if (present && !virtio_send(&queue, arch_phys(pages), (uint32_t)len, VIRTIO_TO_DRIVER))
		present = false;
	return present;
}
