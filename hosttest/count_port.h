/* SPDX-License-Identifier: MIT */
/* The inline port of count_object.c: one thread that says which CPU it is. */
#ifndef HOSTTEST_COUNT_PORT_H
#define HOSTTEST_COUNT_PORT_H

#define MW_PORT_INLINE_GIVEN

extern __thread unsigned int count_cpu __attribute__((tls_model("local-exec")));

static inline unsigned long mw_port_pin(void)
{
	return 0;
}

static inline void mw_port_unpin(unsigned long state)
{
	(void)state;
}

static inline unsigned int mw_port_cpu(void)
{
	return count_cpu;
}

static inline void mw_port_relax(void)
{
}

#endif
