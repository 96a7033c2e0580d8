// SPDX-License-Identifier: MIT
/* All protocols, in the order of the table. */
#include "orders.h"

#define EACH(do_)                                                                                  \
	do_(remote) do_(route) do_(recycle) do_(freers) do_(lock) do_(grace) do_(trace)            \
		do_(seqlock) do_(large) do_(stock) do_(begin) do_(lookup) do_(leaf) do_(mark)      \
			do_(idle) do_(sweep) do_(weak) do_(left) do_(born) do_(snapshot)

#define DECLARE(name_) extern const struct protocol name_##_protocol;
#define REFER(name_) &name_##_protocol,
EACH(DECLARE)
const struct protocol *const protocols[] = { EACH(REFER) };
const unsigned int nr_protocols = sizeof(protocols) / sizeof(protocols[0]);
