// SPDX-License-Identifier: MIT
/* How much of this process's memory is really there. */
#include <stdio.h>
#include <unistd.h>
#include "port_hosted.h"

size_t port_resident(void)
{
	unsigned long size, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file)
		return 0;
	if (fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}
