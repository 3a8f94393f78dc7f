/* SPDX-License-Identifier: MIT */
/* What the next request of each entry would do first, done before it comes. */
#include "scope.h"

#include <string.h>

static unsigned kind_of(const char *key)
{
	if (key[0] == '@')
		return SCOPE_RUN;
	if (strchr(key, '#') != NULL)
		return SCOPE_NARROW;
	return strcmp(key, TOTAL_KEY) == 0 ? SCOPE_TOTAL : SCOPE_HOST;
}

void weir_gate_refresh(const struct weir_segment *s, uint64_t now_ns)
{
	const struct weir_gate g = {.segment = s};
	char key[WEIR_KEY_MAX];

	for (uint32_t slot = 0; slot <= s->entries; slot++) {
		struct scope scope;

		if (slot < s->entries && atomic_load_explicit(&s->index[slot], memory_order_relaxed) == 0)
			continue;
		if (!weir_entry_key(s, slot, key) || !scope_of(&g, kind_of(key), slot, &scope))
			continue;
		scope_apply(&g, &scope, now_ns);
		/* Evicted and made anew meanwhile, it has the paces of another's rule: whoever requests next applies its own. */
		if (!weir_entry_is(s, slot, key))
			atomic_store_explicit(&scope.entry->applied, 0, memory_order_relaxed);
	}
}
