/* SPDX-License-Identifier: MIT */
/*
 * Limits below a host's: of a narrowed rule (some paths, some methods), and each client's share.
 *
 * Their entries are named after what the rule says, "HOST#POST/search/?", never after what a request asks for: as many as there
 * are rules, whatever is requested. A request passes them beside its host's, in the same way as a run's or the total's; or, where
 * the rule stands apart, the narrowed rule's entry is its host's.
 */
#include "scope.h"

#include <string.h>

/* A key for which there is no room is cut, and told from others by its hash. */
#define HASH_CHARS 17U /* '~' and sixteen hexadecimal digits */

static void put_hash(const char *key, char out[HASH_CHARS])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	out[0] = '~';
	for (unsigned i = 1; i < HASH_CHARS; i++, h <<= 4)
		out[i] = "0123456789abcdef"[h >> 60];
}

__attribute__((noinline)) void scope_narrow_key(const struct weir_rule *narrowed, char key[WEIR_KEY_MAX])
{
	char name[WEIR_NARROW_NAME_MAX], hash[HASH_CHARS];
	size_t host = strnlen(key, WEIR_KEY_MAX - 1), n = weir_narrow_name(&narrowed->narrow, name);

	if (host + 1 + n >= WEIR_KEY_MAX) {
		put_hash(key, hash);
		if (n > WEIR_KEY_MAX - 2 - HASH_CHARS)
			n = WEIR_KEY_MAX - 2 - HASH_CHARS;
		host = WEIR_KEY_MAX - 2 - HASH_CHARS - n;
		memcpy(key + host, hash, HASH_CHARS);
		host += HASH_CHARS;
	}
	key[host] = '#';
	memcpy(key + host + 1, name, n);
	key[host + 1 + n] = '\0';
}

void scope_client_key(const struct weir_gate *g, const char *key, char out[WEIR_KEY_MAX])
{
	static const char begin[] = "@client.";
	size_t n = sizeof begin - 1;

	memcpy(out, begin, n);
	for (const char *p = g->client; *p != '\0' && p < g->client + sizeof g->client - 1; p++)
		out[n++] = *p;
	out[n++] = '/';
	for (const char *p = key; *p != '\0' && n < WEIR_KEY_MAX - 1; p++)
		out[n++] = *p;
	out[n] = '\0';
}

/* The entry of a key, with its word. WEIR_NONE when the table has no room: a spare keeps what it limits (spare.c). */
static uint32_t slot_of(const struct weir_gate *g, const char *key, uint64_t now_ns, struct scope *out)
{
	const struct weir_segment *s = g->segment;

	out->slot = weir_entry_acquire(s, key, now_ns);
	if (out->slot >= s->entries) {
		out->slot = WEIR_NONE;
		return WEIR_NONE;
	}
	out->entry = &s->entry[out->slot];
	out->word = weir_entry_word(s, out->slot, key);
	return out->slot;
}

/* The narrowed rule number `index` takes the place of the host's. */
static void stand_apart(const struct weir_gate *g, const struct weir_policy_view *view, uint32_t index, const char *key,
			uint64_t now_ns, struct scope *host)
{
	const struct weir_segment *s = g->segment;

	host->rule = &view->rules[index];
	host->rule_word = 0;
	host->word = 0;
	if (slot_of(g, key, now_ns, host) != WEIR_NONE) {
		host->rule_word = scope_rule_word(view->generation, index);
		return;
	}
	host->slot = s->entries;
	host->entry = &s->entry[s->entries];
}

static void stand_beside(const struct weir_gate *g, const struct weir_policy_view *view, uint32_t index, const char *key,
			 uint64_t now_ns, struct scope *out)
{
	out->rule = &view->rules[index];
	out->generation = view->generation;
	out->rule_word = scope_rule_word(view->generation, index);
	slot_of(g, key, now_ns, out);
}

/* Their keys want stack of their own, not under all that a request does. */
__attribute__((noinline)) bool scope_narrow(const struct weir_gate *g, const struct weir_policy_view *view, const char *host_port,
					    const struct weir_asks *asks, uint64_t now_ns, struct scope out[WEIR_SCOPES])
{
	static const struct weir_asks nothing;
	uint32_t index = weir_policy_narrowed(view, out[SCOPE_HOST].rule, asks != NULL ? asks : &nothing), rule;
	char key[WEIR_KEY_MAX], share_key[WEIR_KEY_MAX];
	const struct weir_rule *host;

	weir_gate_key(g->segment, host_port, key, &rule);
	if (index != WEIR_NONE && (view->rules[index].flags & WEIR_RULE_EXEMPT) != 0)
		return false;
	if (index != WEIR_NONE && (view->rules[index].narrow.flags & WEIR_NARROW_APART) != 0) {
		scope_narrow_key(&view->rules[index], key);
		stand_apart(g, view, index, key, now_ns, &out[SCOPE_HOST]);
	} else if (index != WEIR_NONE) {
		memcpy(share_key, key, sizeof share_key);
		scope_narrow_key(&view->rules[index], share_key);
		stand_beside(g, view, index, share_key, now_ns, &out[SCOPE_NARROW]);
	}
	host = out[SCOPE_HOST].rule;
	if ((host->narrow.client_rate | host->narrow.client_concurrency) == 0)
		return true;
	scope_client_key(g, key, share_key);
	out[SCOPE_CLIENT].rule_word = 0;
	out[SCOPE_CLIENT].rule = host;
	if (slot_of(g, share_key, now_ns, &out[SCOPE_CLIENT]) != WEIR_NONE)
		scope_share(&out[SCOPE_CLIENT]);
	return true;
}

bool weir_gate_narrows(const struct weir_gate *g)
{
	struct weir_policy_view view;

	if (g->segment == NULL || g->segment->base == NULL)
		return false;
	view = weir_policy_in_force(g->segment);
	return view.half != NULL && __atomic_load_n(&view.half->narrows, __ATOMIC_RELAXED) != 0;
}

__attribute__((noinline)) bool weir_gate_is_narrowed(const struct weir_gate *g, const char *host_port,
						     const struct weir_asks *asks)
{
	struct weir_policy_view view;
	uint32_t rule;

	if (g->segment == NULL || g->segment->base == NULL)
		return false;
	view = weir_policy_in_force(g->segment);
	if (view.rules == NULL)
		return false;
	rule = weir_policy_match(&view, host_port);
	return rule < view.rule_count && weir_policy_narrowed(&view, &view.rules[rule], asks) != WEIR_NONE;
}
