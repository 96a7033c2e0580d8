/* SPDX-License-Identifier: MIT */
/* Marrow's knobs for the collector's benchmark: those of the tests, with another inline port. */
#ifndef HOSTTEST_BENCH_GC_CONFIG_H
#define HOSTTEST_BENCH_GC_CONFIG_H

#include "marrow_config.h"
#undef MW_PORT_INLINE_H
#define MW_PORT_INLINE_H "bench_gc_port.h"

#endif
