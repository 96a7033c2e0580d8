// SPDX-License-Identifier: MIT
/* What the rooms above answer when they are not there. */
#include "up.h"

#if MW_GC
#define MW_IF_ALONE __attribute__((weak))

MW_IF_ALONE bool mw_up_type_fits(const struct mw_type *type, size_t size)
{
	(void)type, (void)size;
	return true;
}

MW_IF_ALONE void mw_up_span_born(struct mw_span *span)
{
	(void)span;
}

MW_IF_ALONE void mw_up_span_sweep(struct mw_span *span)
{
	(void)span;
}

MW_IF_ALONE bool mw_up_span_unswept(const struct mw_span *span)
{
	(void)span;
	return false;
}

MW_IF_ALONE void mw_up_span_gone(struct mw_span *span)
{
	(void)span;
}

MW_IF_ALONE bool mw_up_marking(void)
{
	return false;
}

MW_IF_ALONE void mw_up_grow(void)
{
}

MW_IF_ALONE void mw_up_count(void)
{
}

MW_IF_ALONE void mw_up_allocated(size_t bytes)
{
	(void)bytes;
}

MW_IF_ALONE bool mw_up_collect(size_t pages)
{
	(void)pages;
	return false;
}

MW_IF_ALONE void mw_up_safe_held(size_t bytes)
{
	(void)bytes;
}

MW_IF_ALONE void mw_up_safe_drain(void)
{
}

MW_IF_ALONE bool mw_up_looking(void)
{
	return false;
}

MW_IF_ALONE bool mw_up_span_left(struct mw_span *span)
{
	(void)span;
	return false;
}

MW_IF_ALONE enum mw_misuse mw_up_records_free(void *object)
{
	(void)object;
	return MW_MISUSE_NONE;
}

MW_IF_ALONE bool mw_up_site_attach(void *site, void *object, size_t bytes)
{
	(void)site, (void)object, (void)bytes;
	return false;
}

MW_IF_ALONE unsigned long mw_up_samples_look(struct mw_span *span, size_t w)
{
	(void)span, (void)w;
	return 0;
}
#endif
