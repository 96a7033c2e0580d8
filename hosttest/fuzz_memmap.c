// SPDX-License-Identifier: MIT
/* Memory maps from a fuzzer's bytes, against the painted model: make fuzz. */
#include "maps/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void from_bytes(struct model *m, const uint8_t *data, size_t size)
{
	const uint64_t top = 0 - (uint64_t)MODEL_PAGES * MW_PAGE_SIZE;

	m->base = data[0] & 1 ? top : data[0] & 2 ? (1ull << 32) - MW_PAGE_SIZE : 0;
	m->n = 0;
	for (size_t i = 1; i + 3 <= size && m->n < MODEL_ENTRIES; i += 3) {
		unsigned int from = data[i] % MODEL_CELLS, to = data[i + 1] % (MODEL_CELLS + 1);

		model_add(m, from, to, (int8_t)data[i + 2], data[0] & 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model m;

	if (!size)
		return 0;
	from_bytes(&m, data, size);
	model_paint(&m);
	if (!model_agrees_all(&m))
		__builtin_trap();
	return 0;
}
