/* SPDX-License-Identifier: MIT */
#include "src/stats/quotas.h"

#include <inttypes.h>
#include <string.h>

#include "src/stats/render.h"
#include "src/stats/spelling.h"
#include "weir/gate.h"
#include "weir/log.h"

/* On the clock of the quota's own zone. */
static void print_time(const struct weir_allowances *a, unsigned which, uint64_t at_ms, char out[32])
{
	struct weir_clock_face f = weir_allowance_clock(a, which, (at_ms + 999) / 1000);

	weir_format(out, 32, "%d-%02u-%02u %02u:%02u", (int)f.year, f.month, f.day, f.hour, f.minute);
}

void weir_quotas_view(const struct weir_segment *s, uint32_t slot, const struct weir_rule *rule, struct weir_host_view *out)
{
	struct weir_account_view view[WEIR_ALLOWANCES];
	uint64_t wall_ms = 0;

	out->quotas = weir_gate_quotas(s, slot, view, &wall_ms);
	if (out->quotas > weir_allowances_count(&rule->allowances)) /* the rules have just changed */
		out->quotas = weir_allowances_count(&rule->allowances);
	for (unsigned i = 0; i < out->quotas; i++) {
		struct weir_quota_view *q = &out->quota[i];
		/* When the next may go is another thing where something is left (spread). */
		uint64_t at = view[i].spent && view[i].until_ms > wall_ms ? view[i].until_ms : view[i].ends_ms;

		weir_allowance_print(&rule->allowances, i, q->text, sizeof q->text);
		q->used = view[i].used;
		q->limit = view[i].limit;
		q->lost = view[i].lost;
		q->spent = view[i].spent;
		q->resets_ns = at > wall_ms ? (at - wall_ms) * 1000000 : 0;
		if (at > wall_ms)
			print_time(&rule->allowances, i, at, q->resets);
	}
}

static uint64_t left_of(const struct weir_quota_view *q)
{
	return q->used < q->limit ? q->limit - q->used : 0;
}

json_t *weir_quotas_json(const struct weir_host_view *h)
{
	json_t *list = h->quotas > 0 ? json_array() : NULL;

	for (unsigned i = 0; i < h->quotas; i++) {
		const struct weir_quota_view *q = &h->quota[i];
		json_t *o = json_object();

		json_object_set_new(o, "quota", json_string(q->text));
		json_object_set_new(o, "limit", json_integer((json_int_t)q->limit));
		json_object_set_new(o, "used", json_integer((json_int_t)q->used));
		json_object_set_new(o, "left", json_integer((json_int_t)left_of(q)));
		json_object_set_new(o, "spent", json_boolean(q->spent));
		if (q->lost)
			json_object_set_new(o, "lost", json_true());
		if (q->resets_ns) {
			json_object_set_new(o, "resets_in_seconds", json_real((double)q->resets_ns / 1e9));
			json_object_set_new(o, "resets", json_string(q->resets));
		}
		json_array_append_new(list, o);
	}
	return list;
}

const char *weir_quota_sentence(const struct weir_quota_view *q, char out[WEIR_QUOTA_SENTENCE])
{
	size_t n = weir_format(out, WEIR_QUOTA_SENTENCE, "%s: ", q->text);

	if (q->lost)
		n += weir_format(out + n, WEIR_QUOTA_SENTENCE - n, "what was used is not known any more, so nothing is left");
	else
		n += weir_format(out + n, WEIR_QUOTA_SENTENCE - n, "%" PRIu64 " used, %" PRIu64 " left", q->used, left_of(q));
	if (q->resets[0])
		weir_format(out + n, WEIR_QUOTA_SENTENCE - n, " until %s", q->resets);
	return out;
}

static size_t name_width(const struct weir_snapshot *s, size_t *quota_width)
{
	char name[WEIR_SPELLING_MAX];
	size_t width = strlen("HOST");

	*quota_width = strlen("QUOTA");
	for (size_t i = 0; i < s->host_count; i++)
		for (unsigned k = 0; k < s->host[i].quotas; k++) {
			size_t n = strlen(s->host[i].quota[k].text);

			weir_spell(s->host[i].key, name);
			width = strlen(name) > width ? strlen(name) : width;
			*quota_width = n > *quota_width ? n : *quota_width;
		}
	return width;
}

void weir_quotas_text(const struct weir_snapshot *s, FILE *out)
{
	size_t quota_width, width = name_width(s, &quota_width);
	bool any = false;

	for (size_t i = 0; i < s->host_count; i++)
		for (unsigned k = 0; k < s->host[i].quotas; k++) {
			const struct weir_quota_view *q = &s->host[i].quota[k];
			char name[WEIR_SPELLING_MAX];

			if (!any)
				fprintf(out, "%-*s  %-*s %10s %10s  %s\n", (int)width, "HOST", (int)quota_width, "QUOTA", "USED",
					"LEFT", "RESET");
			any = true;
			weir_spell(s->host[i].key, name);
			fprintf(out, "%-*s  %-*s ", (int)width, name, (int)quota_width, q->text);
			if (q->lost)
				fprintf(out, "%10s %10d", "lost", 0);
			else
				fprintf(out, "%10" PRIu64 " %10" PRIu64, q->used, left_of(q));
			fprintf(out, "  %s\n", q->resets[0] ? q->resets : "-");
		}
	if (!any)
		fputs("no host that was asked has a rule with quotas\n", out);
}
