// SPDX-License-Identifier: MIT
/*
 * Runs a fuzzer where there is no libFuzzer, and one input at a time for AFL++: files and folders that
 * are named, and with -random N inputs made from SEED=n, which is printed, so that a failure replays.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t input[1 << 16];
static unsigned long inputs;

static void run(size_t size)
{
	/* A copy of its own length, so that a sanitizer sees who reads behind it. */
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, input, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	inputs++;
}

static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file) {
		perror(path);
		return 1;
	}
	run(fread(input, 1, sizeof(input), file));
	fclose(file);
	return 0;
}

static int run_path(const char *path)
{
	struct dirent *entry;
	struct stat stat_;
	char name[4096];
	int bad = 0;
	DIR *dir;

	if (stat(path, &stat_) || !S_ISDIR(stat_.st_mode))
		return run_file(path);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			bad |= run_file(name);
	}
	if (dir)
		closedir(dir);
	return bad;
}

static uint64_t state;

static uint64_t next_random(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void run_random(unsigned long count)
{
	const char *seed = getenv("SEED");
	uint64_t first = seed ? strtoull(seed, NULL, 0) : 1;

	for (unsigned long i = 0; i < count; i++) {
		size_t size;

		state = first + i;
		size = next_random() % 1500;
		for (size_t at = 0; at < size; at++)
			input[at] = (uint8_t)next_random();
		fprintf(stderr, "SEED=%llu\r", (unsigned long long)(first + i));
		run(size);
	}
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-random") && i + 1 < argc)
			run_random(strtoul(argv[++i], NULL, 0));
		else
			bad |= run_path(argv[i]);
	}
	printf("%lu inputs\n", inputs);
	return bad;
}
