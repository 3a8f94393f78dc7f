/* SPDX-License-Identifier: MIT */
#include "src/cli/top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double real_of(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);
	return json_is_number(v) ? json_number_value(v) : -1;
}

static long whole_of(const json_t *o, const char *name)
{
	double v = real_of(o, name);
	return v >= 0 && v < 1e15 ? (long)v : -1;
}

static uint64_t count_of(const json_t *o, const char *name)
{
	long v = whole_of(o, name);
	return v > 0 ? (uint64_t)v : 0;
}

static void text_of(const json_t *o, const char *name, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, name));
	snprintf(out, size, "%s", text ? text : "");
}

/* The host of that name, made if need be; NULL when memory is short. */
static struct weir_top_host *host_of(struct weir_top *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->host[i].name, name) == 0)
			return &t->host[i];
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 16;
		struct weir_top_host *grown = reallocarray(t->host, room, sizeof *grown);
		if (!grown)
			return NULL;
		t->host = grown;
		t->room = room;
	}
	struct weir_top_host *h = &t->host[t->count++];
	memset(h, 0, sizeof *h);
	snprintf(h->name, sizeof h->name, "%s", name);
	return h;
}

static void add_sample(struct weir_top_host *h)
{
	const double now[WEIR_TOP_SERIES] = {
		[WEIR_TOP_RATE] = h->rate, [WEIR_TOP_LATENCY] = h->latency, [WEIR_TOP_WAITING] = (double)h->waiting};
	int keep = h->samples < WEIR_TOP_SAMPLES ? h->samples : WEIR_TOP_SAMPLES - 1;
	for (int s = 0; s < WEIR_TOP_SERIES; s++) {
		memmove(h->series[s], h->series[s] + h->samples - keep, (size_t)keep * sizeof(double));
		h->series[s][keep] = now[s];
	}
	h->samples = keep + 1;
}

/* Nothing where nothing is given up. */
static void take_degraded(struct weir_top_host *h, const json_t *degraded)
{
	text_of(degraded, "state", h->degraded, sizeof h->degraded);
	if (strcmp(h->degraded, "normal") == 0)
		h->degraded[0] = '\0';
	else if (h->degraded[0] && h->cause[0] == '\0')
		text_of(degraded, "cause", h->cause, sizeof h->cause);
}

static bool take_host(struct weir_top *t, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "host"));
	struct weir_top_host *h = name ? host_of(t, name) : NULL;
	if (!h)
		return !name;
	const json_t *breaker = json_object_get(o, "breaker"), *latency = json_object_get(o, "latency_seconds"),
		     *wait = json_object_get(o, "wait_seconds");
	text_of(o, "rule", h->rule, sizeof h->rule);
	text_of(o, "state", h->state, sizeof h->state);
	text_of(breaker, "state", h->breaker, sizeof h->breaker);
	text_of(o, "hold_cause", h->cause, sizeof h->cause);
	if (h->cause[0] == '\0')
		text_of(breaker, "cause", h->cause, sizeof h->cause);
	take_degraded(h, json_object_get(o, "degraded"));
	h->shed = real_of(breaker, "shed");
	h->requests = count_of(o, "requests");
	h->succeeded = count_of(o, "succeeded");
	h->throttled = count_of(o, "throttled");
	h->failed = count_of(o, "failed");
	h->refused = count_of(o, "refused");
	h->delayed = count_of(o, "delayed");
	h->in_flight = whole_of(o, "in_flight");
	h->waiting = whole_of(o, "waiting");
	h->concurrency_limit = whole_of(o, "concurrency_limit");
	h->rate = real_of(o, "rate");
	h->rate_limit = real_of(o, "rate_limit");
	h->error_rate = real_of(o, "error_rate");
	h->latency = real_of(o, "latency");
	h->hold_s = real_of(o, "hold_seconds");
	h->reopens_s = real_of(breaker, "reopens_in_seconds");
	h->p50 = real_of(latency, "p50");
	h->p95 = real_of(latency, "p95");
	h->p99 = real_of(latency, "p99");
	h->waited_p50 = real_of(wait, "p50");
	h->waited_p95 = real_of(wait, "p95");
	h->there = true;
	add_sample(h);
	return true;
}

/* Those that the agent has forgotten are forgotten here, too. */
static void drop_gone(struct weir_top *t)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->count; i++)
		if (t->host[i].there)
			t->host[kept++] = t->host[i];
	t->count = kept;
}

bool weir_top_take(struct weir_top *t, const json_t *stats)
{
	const json_t *hosts = json_object_get(stats, "hosts"), *totals = json_object_get(stats, "totals"), *o;
	const json_t *narrowed = json_object_get(stats, "narrowed");
	size_t i;
	if (!json_is_array(hosts))
		return false;
	for (i = 0; i < t->count; i++)
		t->host[i].there = false;
	json_array_foreach(hosts, i, o)
	{
		if (!take_host(t, o))
			return false;
	}
	json_array_foreach(narrowed, i, o)
	{
		if (!take_host(t, o))
			return false;
	}
	drop_gone(t);
	text_of(stats, "generated", t->generated, sizeof t->generated);
	t->rejected = json_is_true(json_object_get(json_object_get(stats, "policy"), "rejected"));
	t->hosts = whole_of(totals, "hosts");
	t->processes = whole_of(totals, "processes");
	t->waiting = whole_of(totals, "waiting");
	t->in_flight = whole_of(totals, "in_flight");
	t->requests = count_of(totals, "requests");
	return true;
}

void weir_top_take_events(struct weir_top *t, const json_t *events)
{
	const json_t *list = json_object_get(events, "events");
	const struct weir_top_host *h = weir_top_chosen(t);
	t->events = 0;
	for (size_t i = json_array_size(list); h && i > 0 && t->events < WEIR_TOP_EVENTS; i--) {
		const json_t *o = json_array_get(list, i - 1);
		const char *host = json_string_value(json_object_get(o, "host"));
		if (!host || strcmp(host, h->name) != 0)
			continue;
		struct weir_top_event *e = &t->event[t->events++];
		text_of(o, "at", e->at, sizeof e->at);
		text_of(o, "text", e->text, sizeof e->text);
	}
}

/* What needs a look first: open, half-open, throttled, then those where somebody waits. */
static int urgency(const struct weir_top_host *h)
{
	if (strcmp(h->state, "open") == 0)
		return 0;
	if (strcmp(h->state, "half_open") == 0)
		return 1;
	if (strcmp(h->state, "throttled") == 0)
		return 2;
	return h->waiting > 0 ? 3 : 4;
}

/* Below 0: a comes first. Equals are in the order of their names, so that nothing moves without a reason. */
static int compare(enum weir_top_order order, const struct weir_top_host *a, const struct weir_top_host *b)
{
	double x = 0, y = 0;
	switch (order) {
	case WEIR_TOP_BY_STATE:
		x = urgency(b);
		y = urgency(a);
		break;
	case WEIR_TOP_BY_RATE:
		x = a->rate;
		y = b->rate;
		break;
	case WEIR_TOP_BY_WAITING:
		x = (double)a->waiting;
		y = (double)b->waiting;
		break;
	case WEIR_TOP_BY_LATENCY:
		x = a->latency;
		y = b->latency;
		break;
	default:
		break;
	}
	return x > y ? -1 : x < y ? 1 : strcmp(a->name, b->name);
}

size_t weir_top_list(const struct weir_top *t, const struct weir_top_host **out, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < t->count; i++) {
		const struct weir_top_host *h = &t->host[i];
		size_t at = n < max ? n : max;
		if (t->filter[0] && !strstr(h->name, t->filter))
			continue;
		for (; at > 0 && compare(t->order, h, out[at - 1]) < 0; at--)
			if (at < max)
				out[at] = out[at - 1];
		if (at < max)
			out[at] = h;
		n++;
	}
	return n;
}

/* The list as a whole, to be freed; NULL when it is empty or memory is short. */
static const struct weir_top_host **whole_list(const struct weir_top *t, size_t *count)
{
	const struct weir_top_host **list = t->count ? calloc(t->count, sizeof *list) : NULL;
	*count = list ? weir_top_list(t, list, t->count) : 0;
	if (*count > 0)
		return list;
	free(list);
	return NULL;
}

static size_t place_of(const struct weir_top_host *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i]->name, name) == 0)
			return i;
	return 0;
}

const struct weir_top_host *weir_top_chosen(const struct weir_top *t)
{
	size_t count;
	const struct weir_top_host **list = whole_list(t, &count), *h = NULL;
	if (list)
		h = list[place_of(list, count, t->chosen)];
	free(list);
	return h;
}

void weir_top_move(struct weir_top *t, long by)
{
	size_t count;
	const struct weir_top_host **list = whole_list(t, &count);
	if (!list)
		return;
	long at = (long)place_of(list, count, t->chosen) + by;
	at = at < 0 ? 0 : at >= (long)count ? (long)count - 1 : at;
	snprintf(t->chosen, sizeof t->chosen, "%s", list[at]->name);
	free(list);
}

const char *weir_top_order_name(enum weir_top_order order)
{
	static const char *const names[WEIR_TOP_ORDERS] = {[WEIR_TOP_BY_STATE] = "state",
							   [WEIR_TOP_BY_RATE] = "rate",
							   [WEIR_TOP_BY_WAITING] = "waiting",
							   [WEIR_TOP_BY_LATENCY] = "latency",
							   [WEIR_TOP_BY_NAME] = "name"};
	return order < WEIR_TOP_ORDERS ? names[order] : "?";
}

void weir_top_free(struct weir_top *t)
{
	free(t->host);
	memset(t, 0, sizeof *t);
}
