// SPDX-License-Identifier: MIT
/* Channels of the device: who finds none asks the owner to settle, once for all that wait. */
#include "fs/fs.h"
#include "test.h"

#define WAITERS 4u
#define SETTLE_NS 20000000ul /* longer than it takes all of them to find that there is none */

static struct {
	unsigned int settled;
	bool got[WAITERS];
} seen;

/* As many channels come back as are waited for, after a while. */
static void settle(void)
{
	seen.settled++;
	thread_sleep(SETTLE_NS);
	for (uintptr_t i = 0; i < WAITERS; i++)
		channel_give((void *)i);
}

static void settle_in_vain(void)
{
	seen.settled++;
}

static const struct owner owner = { .name = "test", .settle = settle };
static const struct owner vain = { .name = "test in vain", .settle = settle_in_vain };

static void want_one(void *arg)
{
	unsigned int channel;

	seen.got[(uintptr_t)arg] = channel_take(&owner, &channel);
}

TEST(settled_once_for_all_that_wait)
{
	struct thread *thread[WAITERS];
	unsigned int channel;

	test_heap(8 << 20);
	memset(&seen, 0, sizeof(seen));
	NEED(channels_taken() == 0);
	for (unsigned int i = 0; i < CHANNELS; i++)
		CHECK(channel_take(&vain, &channel) && channel == i);
	CHECK(!channel_take(&vain, &channel));
	CHECK_EQ(seen.settled, 1);
	for (uintptr_t i = 0; i < WAITERS; i++)
		NEED(thread[i] = thread_create("wants", want_one, (void *)i));
	for (unsigned int i = 0; i < WAITERS; i++) {
		thread_join(thread[i]);
		CHECK(seen.got[i]);
	}
	CHECK_EQ(seen.settled, 2);
	for (uintptr_t i = 0; i < CHANNELS; i++)
		channel_give((void *)i);
	CHECK_EQ(channels_taken(), 0);
}
