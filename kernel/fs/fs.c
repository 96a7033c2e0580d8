// SPDX-License-Identifier: MIT
/* What went wrong, in words; and a lock that spins. */
#include "fs.h"

const char *fs_error_text(enum fs_error error)
{
	static const char *const texts[] = {
		[FS_OK] = "well",
		[FS_NO_MEMORY] = "no memory",
		[FS_NOT_FOUND] = "no such name",
		[FS_EXISTS] = "the name is taken",
		[FS_NO_DIRECTORY] = "not a directory",
		[FS_IS_DIRECTORY] = "a directory",
		[FS_BAD_NAME] = "not a name: empty, too long, . or ..",
		[FS_BUSY] = "something is mounted there",
		[FS_NO_CHANNEL] = "no free channel of the device",
		[FS_TOO_MANY] = "too many open files",
		[FS_WRONG_TYPE] = "not for this kind of file",
		[FS_INSIDE_ITSELF] = "a directory cannot move into itself",
	};

	return texts[error];
}

struct spin fs_tree;

unsigned long spin_lock(struct spin *spin)
{
	unsigned long state = arch_irq_save();

	while (atomic_exchange_explicit(&spin->taken, true, memory_order_acquire))
		arch_relax();
	return state;
}

void spin_unlock(struct spin *spin, unsigned long state)
{
	atomic_store_explicit(&spin->taken, false, memory_order_release);
	arch_irq_restore(state);
}
