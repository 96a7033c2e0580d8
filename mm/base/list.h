/* SPDX-License-Identifier: MIT */
/* A ring of links; the list is a link itself. Guarded by whatever guards the list's owner. */
#ifndef MW_BASE_LIST_H
#define MW_BASE_LIST_H

#include "base.h"

struct mw_list {
	struct mw_list *next, *prev;
};

#define mw_container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void mw_list_init(struct mw_list *list)
{
	list->next = list->prev = list;
}

static inline bool mw_list_empty(const struct mw_list *list)
{
	return list->next == list;
}

static inline void mw_list_insert_between(struct mw_list *prev, struct mw_list *next,
					  struct mw_list *item)
{
	item->prev = prev;
	item->next = next;
	prev->next = item;
	next->prev = item;
}

static inline void mw_list_push_front(struct mw_list *list, struct mw_list *item)
{
	mw_list_insert_between(list, list->next, item);
}

static inline void mw_list_push_back(struct mw_list *list, struct mw_list *item)
{
	mw_list_insert_between(list->prev, list, item);
}

/* @item may be removed again, or asked mw_list_empty(): it is a ring of its own afterwards. */
static inline void mw_list_remove(struct mw_list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	mw_list_init(item);
}

static inline struct mw_list *mw_list_pop_front(struct mw_list *list)
{
	struct mw_list *item = list->next;

	if (item == list)
		return NULL;
	mw_list_remove(item);
	return item;
}

#define mw_list_for_each(it, list) for (it = (list)->next; it != (list); it = it->next)
/* @it may be removed while walking. */
#define mw_list_for_each_safe(it, after, list)                                                     \
	for (it = (list)->next, after = it->next; it != (list); it = after, after = it->next)

#endif
