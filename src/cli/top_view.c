/* SPDX-License-Identifier: MIT */
#include "src/cli/top_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "weir/units.h"

/* Columns behind the host's name, each with a blank before it. */
enum { STATE = 9, RATE = 17, LATENCY = 8, FLIGHT = 9, WAITING = 7, BEHIND_NAME = 5 + STATE + RATE + LATENCY + FLIGHT + WAITING };
#define NAME_LEAST 20
#define NAME_MOST  44
#define TREND_MOST 60
#define LABEL      14 /* of a line in detail */

static enum weir_style style_of(const struct weir_top_host *h)
{
	if (strcmp(h->state, "ok") == 0)
		return WEIR_GOOD;
	return strcmp(h->state, "open") == 0 ? WEIR_BAD : WEIR_WARN;
}

static const char *state_text(const struct weir_top_host *h)
{
	return strcmp(h->state, "half_open") == 0 ? "half-open" : h->state;
}

/* "12.3s"; "-" when it is not known. */
static const char *duration(double s, char out[32])
{
	if (s < 0 || s > 1e9)
		snprintf(out, 32, "-");
	else
		weir_print_duration((uint64_t)(s * 1e9), out, 32);
	return out;
}

/* "1.2 of 5/s" */
static const char *rate(const struct weir_top_host *h, char out[64])
{
	char limit[32];
	if (h->rate_limit > 0 && h->rate_limit < 1e8)
		snprintf(out, 64, "%.1f of %s", h->rate < 0 ? 0 : h->rate,
			 weir_print_rate(weir_round_rate((uint64_t)(h->rate_limit * 1e9)), limit, sizeof limit));
	else
		snprintf(out, 64, "%.1f/s", h->rate < 0 ? 0 : h->rate);
	return out;
}

static const char *flight(const struct weir_top_host *h, char out[64])
{
	if (h->concurrency_limit > 0)
		snprintf(out, 64, "%ld of %ld", h->in_flight, h->concurrency_limit);
	else
		snprintf(out, 64, "%ld", h->in_flight);
	return out;
}

/* Why it is as it is, and when that ends; empty when there is nothing to say. */
static const char *reason(const struct weir_top_host *h, char out[160])
{
	char left[32];
	out[0] = '\0';
	if (h->hold_s > 0)
		snprintf(out, 160, "held for %s more (%s)", duration(h->hold_s, left), h->cause[0] ? h->cause : "hold");
	else if (strcmp(h->breaker, "open") == 0 && h->reopens_s > 0)
		snprintf(out, 160, "breaker open (%s), next try in %s", h->cause, duration(h->reopens_s, left));
	else if (strcmp(h->breaker, "open") == 0)
		snprintf(out, 160, "breaker open (%s)", h->cause);
	else if (strcmp(h->breaker, "half_open") == 0)
		snprintf(out, 160, "breaker half-open, a probe decides");
	else if (h->degraded[0])
		snprintf(out, 160, "degraded: %s (%s)", h->degraded, h->cause);
	else if (h->shed > 0)
		snprintf(out, 160, "breaker sheds %.0f%%", 100 * h->shed);
	return out;
}

static void draw_title(const struct weir_top *t, struct weir_canvas *c)
{
	char text[320];
	const char *time = strchr(t->generated, 'T');
	int n = snprintf(text, sizeof text, "weir top  %.8s UTC  %ld host%s, %ld process%s, %ld in flight, %ld waiting",
			 time ? time + 1 : "--:--:--", t->hosts, t->hosts == 1 ? "" : "s", t->processes,
			 t->processes == 1 ? "" : "es", t->in_flight, t->waiting);
	if (n + 30 < c->columns)
		snprintf(text + n, sizeof text - (size_t)n, ", %" PRIu64 " requests", t->requests);
	weir_canvas_put(c, 0, 0, c->columns, WEIR_TITLE, text);
}

static int name_width(const struct weir_canvas *c)
{
	int width = c->columns - BEHIND_NAME;
	return width < NAME_LEAST ? NAME_LEAST : width > NAME_MOST ? NAME_MOST : width;
}

static void draw_columns(const struct weir_top *t, struct weir_canvas *c)
{
	static const enum weir_top_order by[] = {WEIR_TOP_BY_NAME,    WEIR_TOP_BY_STATE, WEIR_TOP_BY_RATE,
						 WEIR_TOP_BY_LATENCY, WEIR_TOP_ORDERS,   WEIR_TOP_BY_WAITING};
	static const char *const heads[] = {"HOST", "STATE", "RATE", "LATENCY", "IN FLIGHT", "WAITING"};
	const int widths[] = {name_width(c), STATE, RATE, LATENCY, FLIGHT, WAITING};
	int at = 0;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		enum weir_style style = by[i] == t->order ? WEIR_BOLD : WEIR_DIM;
		if (i < 2)
			weir_canvas_put(c, 2, at, widths[i], style, heads[i]);
		else
			weir_canvas_put_right(c, 2, at, widths[i], style, heads[i]);
		at += widths[i] + 1;
	}
	if (c->columns - at >= 10)
		weir_canvas_put(c, 2, at + 1, 10, WEIR_DIM, "RATE, LAST");
}

static void draw_host(const struct weir_top_host *h, bool chosen, int row, struct weir_canvas *c)
{
	enum weir_style style = chosen ? WEIR_CHOSEN : WEIR_PLAIN;
	char text[64];
	int at = name_width(c);
	weir_canvas_put(c, row, 0, c->columns, style, "");
	weir_canvas_put(c, row, 0, at, style, h->name);
	at++;
	weir_canvas_put(c, row, at, STATE, chosen ? WEIR_CHOSEN : style_of(h), state_text(h));
	at += STATE + 1;
	weir_canvas_put_right(c, row, at, RATE, style, rate(h, text));
	at += RATE + 1;
	weir_canvas_put_right(c, row, at, LATENCY, style, duration(h->latency, text));
	at += LATENCY + 1;
	weir_canvas_put_right(c, row, at, FLIGHT, style, flight(h, text));
	at += FLIGHT + 1;
	snprintf(text, sizeof text, "%ld", h->waiting);
	weir_canvas_put_right(c, row, at, WAITING, h->waiting > 0 && !chosen ? WEIR_WARN : style, text);
	at += WAITING + 2;
	int width = c->columns - at;
	if (width >= 9)
		weir_canvas_spark(c, row, at, width < TREND_MOST ? width : TREND_MOST, style, h->series[WEIR_TOP_RATE],
				  h->samples);
}

static void draw_list(const struct weir_top *t, struct weir_canvas *c)
{
	const struct weir_top_host *chosen = weir_top_chosen(t);
	const struct weir_top_host **list = t->count ? calloc(t->count, sizeof *list) : NULL;
	size_t count = list ? weir_top_list(t, list, t->count) : 0, first = 0;
	int rows = c->rows - 5; /* title, reason, heads, a blank, keys */
	char text[160];
	snprintf(text, sizeof text, "%s%s%s", t->rejected ? "the configuration was refused: weir config check   " : "",
		 t->filter[0] ? "only: " : "", t->filter);
	weir_canvas_put(c, 1, 0, c->columns, t->rejected ? WEIR_BAD : WEIR_DIM, text);
	draw_columns(t, c);
	if (count == 0)
		weir_canvas_put(c, 3, 0, c->columns, WEIR_PLAIN,
				t->filter[0] ? "no host has this in its name"
					     : "no host is known yet: nothing was requested under weir");
	/* The chosen one stays on the screen. */
	for (size_t i = 0; i < count; i++)
		if (list[i] == chosen && rows > 0 && i >= (size_t)rows)
			first = i - (size_t)rows + 1;
	for (int i = 0; i < rows && first + (size_t)i < count; i++)
		draw_host(list[first + (size_t)i], list[first + (size_t)i] == chosen, 3 + i, c);
	if (chosen && c->rows > 5)
		weir_canvas_put(c, c->rows - 2, 0, c->columns, style_of(chosen), reason(chosen, text));
	free(list);
}

/* A line "label  text". */
static int say(struct weir_canvas *c, int row, const char *label, enum weir_style style, const char *text)
{
	weir_canvas_put(c, row, 0, LABEL, WEIR_DIM, label);
	weir_canvas_put(c, row, LABEL, c->columns - LABEL, style, text);
	return row + 1;
}

static int draw_series(const struct weir_top_host *h, enum weir_top_series which, const char *label, const char *now, int row,
		       struct weir_canvas *c)
{
	int at = LABEL + 20, width = c->columns - at - 1;
	weir_canvas_put(c, row, 0, LABEL, WEIR_DIM, label);
	weir_canvas_put(c, row, LABEL, 19, WEIR_PLAIN, now);
	if (width > 0)
		weir_canvas_spark(c, row, at, width < WEIR_TOP_SAMPLES ? width : WEIR_TOP_SAMPLES, WEIR_PLAIN, h->series[which],
				  h->samples);
	return row + 1;
}

static void draw_events(const struct weir_top *t, int row, struct weir_canvas *c)
{
	char text[WEIR_TOP_TEXT + 16];
	weir_canvas_put(c, row++, 0, c->columns, WEIR_DIM, "EVENTS (UTC)");
	if (t->events == 0 && row < c->rows - 1)
		weir_canvas_put(c, row, 0, c->columns, WEIR_PLAIN, "none");
	for (size_t i = 0; i < t->events && row < c->rows - 1; i++) {
		const char *time = strchr(t->event[i].at, 'T');
		snprintf(text, sizeof text, "%.8s  %s", time ? time + 1 : "", t->event[i].text);
		weir_canvas_put(c, row++, 0, c->columns, WEIR_PLAIN, text);
	}
}

static void draw_detail(const struct weir_top *t, const struct weir_top_host *h, struct weir_canvas *c)
{
	char text[256], a[32], b[32], d[64];
	int row = 2;
	weir_canvas_put(c, 1, 0, c->columns, WEIR_BOLD, h->name);
	row = say(c, row, "state", style_of(h), state_text(h));
	if (reason(h, text)[0])
		row = say(c, row, "why", style_of(h), text);
	row = say(c, row, "rule", WEIR_PLAIN, h->rule);
	snprintf(text, sizeof text, "%" PRIu64 ": %" PRIu64 " succeeded, %" PRIu64 " throttled, %" PRIu64 " failed", h->requests,
		 h->succeeded, h->throttled, h->failed);
	row = say(c, row, "requests", WEIR_PLAIN, text);
	snprintf(text, sizeof text, "%" PRIu64 " delayed, %" PRIu64 " refused; waits p50 %s, p95 %s", h->delayed, h->refused,
		 duration(h->waited_p50, a), duration(h->waited_p95, b));
	row = say(c, row, "by weir", WEIR_PLAIN, text);
	snprintf(text, sizeof text, "p50 %s, p95 %s", duration(h->p50, a), duration(h->p95, b));
	snprintf(text + strlen(text), sizeof text - strlen(text), ", p99 %s; breaker %s", duration(h->p99, a), h->breaker);
	row = say(c, row, "latency", WEIR_PLAIN, text) + 1;
	row = draw_series(h, WEIR_TOP_RATE, "rate", rate(h, d), row, c);
	row = draw_series(h, WEIR_TOP_LATENCY, "latency", duration(h->latency, a), row, c);
	snprintf(text, sizeof text, "%ld, %s in flight", h->waiting, flight(h, d));
	row = draw_series(h, WEIR_TOP_WAITING, "waiting", text, row, c) + 1;
	if (row < c->rows - 2)
		draw_events(t, row, c);
}

void weir_top_draw(const struct weir_top *t, const char *note, struct weir_canvas *c)
{
	static const char list_keys[] = "up/down  enter detail  s sort  / filter  r reset  o open  c close  q quit";
	static const char detail_keys[] = "esc back  r reset  o open the breaker  c close it  q quit";
	const struct weir_top_host *chosen = t->detail ? weir_top_chosen(t) : NULL;
	draw_title(t, c);
	if (chosen)
		draw_detail(t, chosen, c);
	else
		draw_list(t, c);
	weir_canvas_put(c, c->rows - 1, 0, c->columns, note ? WEIR_BOLD : WEIR_DIM,
			note     ? note
			: chosen ? detail_keys
				 : list_keys);
}
