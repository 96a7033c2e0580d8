/* SPDX-License-Identifier: MIT */
/* What the files of this room share, and see of the rooms below: docs/design/watch.md. */
#ifndef MW_WATCH_WATCH_H
#define MW_WATCH_WATCH_H

#include <marrow/watch.h>
#include "../gc/gc.h"
#include "../object/object.h"
#include "../page/page.h"

/* stat.c: what is counted on the way against what is there. Nobody else may be inside. */
bool mw_watch_check(void);

#endif
