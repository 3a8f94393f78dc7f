/* SPDX-License-Identifier: MIT */
/*
 * The policy area: two halves and a generation number whose lowest bit selects the half in force. The agent fills the other half
 * and switches with one store; if it dies before that, nothing has happened. A reader keeps its view for one decision; only if
 * the agent publishes twice meanwhile is the view rewritten under its eyes, and then it sees old and new values mixed. Everything
 * read here is therefore bounded by its place and never by its content.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "futex.h"
#include "weir/kernel.h"
#include "weir/segment.h"
#include "words.h"

_Static_assert(sizeof(struct weir_rule) % sizeof(uint64_t) == 0 && sizeof(struct weir_source) % sizeof(uint64_t) == 0, "words");

uint32_t weir_policy_match(const struct weir_policy_view *view, const char *host_port)
{
	size_t whole = strnlen(host_port, WEIR_KEY_MAX), host;
	const char *colon = memrchr(host_port, ':', whole); /* the last: "::1:8080" is port 8080 of ::1 */
	uint32_t first_glob = WEIR_NONE;

	if (view->rules == NULL || view->rule_count == 0)
		return WEIR_NONE;
	host = colon == NULL ? whole : (size_t)(colon - host_port);
	for (uint32_t i = 0; i + 1 < view->rule_count; i++) {
		const struct weir_rule *r = &view->rules[i];
		size_t length = strnlen(r->match, sizeof r->match), subject = (r->flags & WEIR_RULE_ANY_PORT) != 0 ? host : whole;

		if (length == 0 || length == sizeof r->match || (r->narrow.flags & WEIR_NARROW_IS) != 0)
			continue;
		if ((r->flags & WEIR_RULE_GLOB) == 0) {
			if (length == subject && memcmp(r->match, host_port, length) == 0)
				return i;
		} else if (first_glob == WEIR_NONE && weir_glob(r->match, length, host_port, subject)) {
			first_glob = i;
		}
	}
	return first_glob != WEIR_NONE ? first_glob : view->rule_count - 1;
}

/* The rule of a host, or of a group: a key without a port. One that no group has any more, or that is no host's, gets the
 * defaults. */
static uint32_t rule_of_host(const struct weir_policy_view *view, const char *key)
{
	if (strchr(key, ':') != NULL)
		return weir_policy_match(view, key);
	for (uint32_t i = 0; i < view->rule_count; i++)
		if (view->rules[i].group[0] != '\0' && strncmp(view->rules[i].group, key, WEIR_GROUP_MAX) == 0)
			return i;
	return view->rule_count - 1;
}

static __attribute__((noinline)) uint32_t narrowed_by_name(const struct weir_policy_view *view, const char *host,
							   const char *name)
{
	char its[WEIR_NARROW_NAME_MAX];
	uint32_t rule = rule_of_host(view, host);
	const struct weir_narrow *n = rule < view->rule_count ? &view->rules[rule].narrow : NULL;

	for (uint32_t i = 0; n != NULL && i < n->count && i < WEIR_NARROWED_MAX; i++) {
		if (n->first >= view->rule_count || i >= view->rule_count - n->first)
			return WEIR_NONE;
		weir_narrow_name(&view->rules[n->first + i].narrow, its);
		if ((view->rules[n->first + i].narrow.flags & WEIR_NARROW_IS) != 0 && strcmp(its, name) == 0)
			return n->first + i;
	}
	return WEIR_NONE;
}

uint32_t weir_policy_of_key(const struct weir_policy_view *view, const char *key)
{
	const char *narrowed = strchr(key, '#');
	char host[WEIR_KEY_MAX];
	size_t length;

	if (view->rules == NULL || view->rule_count == 0 || key[0] == '@')
		return WEIR_NONE;
	if (narrowed == NULL)
		return rule_of_host(view, key);
	length = (size_t)(narrowed - key);
	if (length >= sizeof host)
		return WEIR_NONE;
	memcpy(host, key, length);
	host[length] = '\0';
	return narrowed_by_name(view, host, narrowed + 1);
}

uint32_t weir_policy_narrowed(const struct weir_policy_view *view, const struct weir_rule *host, const struct weir_asks *asks)
{
	uint32_t first = host->narrow.first, count = host->narrow.count;

	if (view->rules == NULL || count > WEIR_NARROWED_MAX)
		return WEIR_NONE;
	for (uint32_t i = 0; i < count && first + i < view->rule_count && first <= UINT32_MAX - count; i++)
		if (weir_narrow_meets(&view->rules[first + i].narrow, asks))
			return first + i;
	return WEIR_NONE;
}

void weir_policy_confirm(const struct weir_segment *s)
{
	atomic_fetch_add(&s->header->policy_changes, 1);
	futex_wake_all(&s->header->policy_changes);
}

void weir_policy_publish(const struct weir_segment *s, const struct weir_rule *rules, uint32_t rule_count,
			 const struct weir_rule *total, const struct weir_source *sources, uint32_t source_count, bool rejected,
			 uint64_t wall_ns)
{
	static const struct weir_rule no_total;
	uint64_t generation = atomic_load(&s->header->policy_generation) + 1;
	struct weir_policy_half *half;
	bool narrows = false;

	if (rule_count == 0 || rule_count > s->rules)
		return;
	if (generation == 0) /* means "nothing compiled"; reached by damage alone */
		generation = 2;
	if (source_count > WEIR_SOURCES)
		source_count = WEIR_SOURCES;
	half = s->policy[generation & 1];
	for (uint32_t i = 0; i < rule_count; i++)
		narrows |= rules[i].narrow.count != 0;
	/* Stores, rule by rule, and the counts before the rules, which matters to nobody: the half is not in force. */
	__atomic_store_n(&half->rule_count, rule_count, __ATOMIC_RELEASE);
	__atomic_store_n(&half->source_count, source_count, __ATOMIC_RELEASE);
	__atomic_store_n(&half->compiled_wall_ns, wall_ns, __ATOMIC_RELEASE);
	__atomic_store_n(&half->rejected, rejected, __ATOMIC_RELEASE);
	__atomic_store_n(&half->total_in_use, total != NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&half->narrows, narrows, __ATOMIC_RELEASE);
	words_wipe(half->source, WEIR_SOURCES * sizeof half->source[0] / sizeof(uint64_t));
	words_store(half->source, sources, source_count * sizeof *sources / sizeof(uint64_t));
	words_store(&half->total, total != NULL ? total : &no_total, sizeof half->total / sizeof(uint64_t));
	words_store(half->rule, rules, rule_count * sizeof *rules / sizeof(uint64_t));
	atomic_store(&s->header->policy_generation, generation);
	weir_policy_confirm(s);
}

bool weir_source_stat(struct weir_source *out, const char *path)
{
	size_t length = strnlen(path, sizeof out->path);
	struct stat st;

	memset(out, 0, sizeof *out);
	if (length == sizeof out->path)
		return false;
	memcpy(out->path, path, length);
	if (weir_stat(out->path, &st) != 0)
		return true; /* absent, or as good as absent to us */
	out->size_bytes = (uint64_t)st.st_size;
	out->inode = st.st_ino;
	out->ctime_ns = (uint64_t)st.st_ctim.tv_sec * UINT64_C(1000000000) + (uint64_t)st.st_ctim.tv_nsec;
	return true;
}

bool weir_policy_fresh(const struct weir_policy_view *view)
{
	uint32_t count;

	if (view->half == NULL)
		return false;
	count = __atomic_load_n(&view->half->source_count, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < count && i < WEIR_SOURCES; i++) {
		struct weir_source then, now;

		words_load(&then, &view->half->source[i], sizeof then / sizeof(uint64_t));
		then.path[sizeof then.path - 1] = '\0';
		if (then.path[0] == '\0')
			continue;
		if (!weir_source_stat(&now, then.path) || now.inode != then.inode || now.size_bytes != then.size_bytes ||
		    now.ctime_ns != then.ctime_ns)
			return false;
	}
	return true;
}
