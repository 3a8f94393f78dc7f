/* SPDX-License-Identifier: MIT */
/* An explanation in the making: what its parts have in common. */
#ifndef WEIR_STATS_EXPLAIN_PARTS_H
#define WEIR_STATS_EXPLAIN_PARTS_H

#include "src/stats/explain.h"
#include "src/stats/snapshot.h"

#define WEIR_PAST_EVENTS 5 /* of the host, the last ones */

struct weir_explaining {
	struct weir_explanation *e;
	const struct weir_segment *s;
	const struct weir_policy *policy; /* NULL: origins are not known */
	const struct weir_asked_about *asked;
	uint64_t now_ns, wall_ns;
	char key[WEIR_KEY_MAX];      /* of the host's entry, or its group's: a narrowed rule's that stands apart is not meant */
	struct weir_rule host, rule; /* copies: of the host, and the one that holds, which may be narrowed and stand apart */
	uint32_t host_index;         /* in the policy in force; WEIR_NONE: built in */
	const struct weir_snapshot *snapshot;
	const struct weir_host_view *view; /* of the entry that the rule holds for; NULL: there is none yet */
	struct weir_event past[WEIR_PAST_EVENTS];
	size_t past_count;
	enum weir_cause paced_by;             /* what last changed the rate */
	json_t *limits;                       /* borrowed from the document */
	char tail[WEIR_SOURCE_PATH_MAX + 32]; /* of weir_note_limit */
};

/* ---- explain_say.c: the texts of a few quantities at once: each call of duration() or rate() takes the next one. */
struct weir_words {
	char text[8][32];
	unsigned next;
};
const char *weir_duration_word(struct weir_words *w, uint64_t ns);
const char *weir_rate_word(struct weir_words *w, uint64_t nano_per_s);

/* Appends a sentence; control characters are made harmless. */
void weir_say(struct weir_explaining *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- explain_limits.c */

/* Where a limit comes from. */
enum weir_limit_origin {
	WEIR_LIMIT_CONFIGURED, /* or built in: the place tells */
	WEIR_LIMIT_LEARNED,
	WEIR_LIMIT_HEADER, /* told by the server */
	WEIR_LIMIT_OPERATOR,
};

/* "FILE:LINE" or "built in" of a field of a rule, by the rule's own words or its defaults'; NULL: not known. section: "total" or
 * NULL, then the rule's. */
const char *weir_place_of(const struct weir_explaining *x, const struct weir_rule *rule, const char *section, const char *field);

/* Notes a limit in the data, and returns the words that say where it comes from, to be put behind a sentence: "" or " From
 * FILE:LINE.", good until the next call. `value` is taken over; ends_ns: from now, 0 = does not end by itself. */
struct weir_limit {
	const char *limit, *scope; /* "rate"; "host", "narrowed", "client", "total" */
	json_t *value;
	enum weir_limit_origin origin;
	const char *place; /* of weir_place_of */
	uint64_t ends_ns;
};
const char *weir_note_limit(struct weir_explaining *x, const struct weir_limit *l);

void weir_say_limits(struct weir_explaining *x);
void weir_say_total(struct weir_explaining *x, const struct weir_rule *total);

/* "at most 30/m, at most 2 in flight", or "no limit": what a rule says that limits nothing else. Notes it, too. */
#define WEIR_FIXED_LIMITS 256
const char *weir_fixed_limits(struct weir_explaining *x, const struct weir_rule *rule, const char *scope,
			      char out[WEIR_FIXED_LIMITS]);

/* The same of what the operator has set in its place: what is not set holds as the rule has it. */
const char *weir_set_limits(struct weir_explaining *x, const struct weir_host_view *v, char out[WEIR_FIXED_LIMITS]);

/* ---- explain_narrow.c */
void weir_say_narrowed(struct weir_explaining *x);

/* The name of the narrowed rule that it meets; NULL: none. */
const char *weir_met_name(const struct weir_explaining *x, char out[WEIR_NARROW_NAME_MAX]);

/* ---- explain_past.c */

/* The entry of that key in the snapshot; NULL: it is not there. */
const struct weir_host_view *weir_find_view(const struct weir_explaining *x, const char *key);
void weir_take_past(struct weir_explaining *x);
void weir_say_meaning(struct weir_explaining *x);
void weir_say_holders(struct weir_explaining *x);
void weir_say_seen(struct weir_explaining *x);
void weir_say_past(struct weir_explaining *x);

/* Requests to the host of which neither path nor method was seen. */
uint64_t weir_seen_blindly(const struct weir_explaining *x);

#endif
