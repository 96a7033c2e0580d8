// SPDX-License-Identifier: MIT
/*
 * Channels of a device: numbers that are few, and must come back. What a file handle, a DMA channel
 * or a hardware queue is to a driver.
 */
#include "fs.h"

#define WORD 64u

static struct {
	struct spin lock;
	uint64_t taken[CHANNELS / WORD];
	unsigned int n;
} device;

static bool take(unsigned int *channel)
{
	unsigned long state = spin_lock(&device.lock);
	unsigned int word = 0;
	bool found;

	while (word < CHANNELS / WORD && !~device.taken[word])
		word++;
	found = word < CHANNELS / WORD;
	if (found) {
		unsigned int bit = (unsigned int)__builtin_ctzl(~device.taken[word]);

		device.taken[word] |= 1ul << bit;
		device.n++;
		*channel = word * WORD + bit;
	}
	spin_unlock(&device.lock, state);
	return found;
}

/* Many find none at the same time: what comes back when one of them asks is there for all. */
bool channel_take(const struct owner *owner, unsigned int *channel)
{
	static MUTEX(settling);
	bool taken = take(channel);

	if (taken)
		return true;
	mutex_lock(&settling);
	taken = take(channel);
	if (!taken) {
		owner->settle();
		taken = take(channel);
	}
	mutex_unlock(&settling);
	return taken;
}

void channel_give(void *number)
{
	uintptr_t channel = (uintptr_t)number;
	unsigned long state = spin_lock(&device.lock);
	uint64_t bit = 1ul << channel % WORD, *word = &device.taken[channel / WORD];

	if (!(*word & bit))
		mw_port_panic("a channel was given back twice");
	*word &= ~bit;
	device.n--;
	spin_unlock(&device.lock, state);
}

unsigned int channels_taken(void)
{
	unsigned long state = spin_lock(&device.lock);
	unsigned int n = device.n;

	spin_unlock(&device.lock, state);
	return n;
}

void channels_forget(void)
{
	unsigned long state = spin_lock(&device.lock);

	memset(device.taken, 0, sizeof(device.taken));
	device.n = 0;
	spin_unlock(&device.lock, state);
}
