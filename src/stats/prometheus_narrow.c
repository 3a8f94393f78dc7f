/* SPDX-License-Identifier: MIT */
/*
 * What there is below hosts: narrowed rules beside their host's, and clients' shares.
 *
 * Labels are what the configuration says (a rule's methods and path) and what somebody calls a client, never what a request asks
 * for. There may be a rule for each of all hosts, and any number of clients: so only those with the most requests get labels.
 */
#include "src/stats/prometheus_text.h"
#include "src/stats/render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char client_begin[] = "@client.";

/* Some of the entries of a snapshot, in order of name. */
struct some {
	const struct weir_host_view **view;
	size_t count, left_out;
};

static uint64_t weight(const struct weir_host_view *h)
{
	return h->tally.succeeded + h->tally.throttled + h->tally.failed + h->in_flight + h->waiting;
}

static int by_weight(const void *a, const void *b)
{
	const struct weir_host_view *const *x = a, *const *y = b;
	uint64_t n = weight(*x), m = weight(*y);

	return n != m ? (n < m) - (n > m) : strcmp((*x)->key, (*y)->key);
}

static int by_name(const void *a, const void *b)
{
	const struct weir_host_view *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

static bool is_client(const struct weir_host_view *h)
{
	return strncmp(h->key, client_begin, sizeof client_begin - 1) == 0 && strchr(h->key, '/') != NULL;
}

static bool is_narrowed(const struct weir_host_view *h)
{
	return h->kind == WEIR_ENTRY_NARROWED && strchr(h->key, '#') != NULL;
}

static void choose(const struct weir_snapshot *s, bool (*wanted)(const struct weir_host_view *h), size_t max, struct some *out)
{
	memset(out, 0, sizeof *out);
	out->view = calloc(s->host_count + 1, sizeof(const struct weir_host_view *));
	for (size_t i = 0; out->view && i < s->host_count; i++)
		if (wanted(&s->host[i]))
			out->view[out->count++] = &s->host[i];
	if (out->count < 2)
		return;
	qsort(out->view, out->count, sizeof *out->view, by_weight);
	if (out->count > max) {
		out->left_out = out->count - max;
		out->count = max;
	}
	qsort(out->view, out->count, sizeof *out->view, by_name);
}

/* Of a narrowed rule: "HOST#RULE"; of a client: "@client.NAME/HOST". */
static void put_labels(FILE *out, const char *name, const struct weir_host_view *h)
{
	char key[WEIR_KEY_MAX];
	bool client = is_client(h);
	char *second;

	memcpy(key, h->key, sizeof key);
	second = strchr(key, client ? '/' : '#');
	*second++ = '\0';
	fprintf(out, "%s{", name);
	label(out, "host", client ? second : key);
	fputc(',', out);
	label(out, client ? "client" : "rule", client ? key + sizeof client_begin - 1 : second);
}

static void count_of(FILE *out, const char *name, const struct weir_host_view *h, uint64_t n)
{
	put_labels(out, name, h);
	fprintf(out, "} %" PRIu64 "\n", n);
}

static void put_results(FILE *out, const struct some *c)
{
	static const char name[] = "weir_narrowed_results_total";

	family(out, name, "counter", "Results of requests that a narrowed rule limited beside their host's, by what came back.");
	for (size_t i = 0; i < c->count; i++) {
		const struct weir_tally *t = &c->view[i]->tally;
		const struct {
			const char *outcome;
			uint64_t n;
		} of[] = {{"succeeded", t->succeeded}, {"throttled", t->throttled}, {"failed", t->failed}};

		for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
			put_labels(out, name, c->view[i]);
			fprintf(out, ",outcome=\"%s\"} %" PRIu64 "\n", of[k].outcome, of[k].n);
		}
	}
}

/* in_flight, waiting and the limits, of rules or of clients. */
static void put_gauges(FILE *out, const char *of, const char *whose, const struct some *c)
{
	char name[64], help[128];

	snprintf(name, sizeof name, "weir_%s_in_flight", of);
	snprintf(help, sizeof help, "Requests in flight of %s.", whose);
	family(out, name, "gauge", help);
	for (size_t i = 0; i < c->count; i++)
		count_of(out, name, c->view[i], c->view[i]->in_flight);
	snprintf(name, sizeof name, "weir_%s_waiting", of);
	snprintf(help, sizeof help, "Requests that wait for their turn, of %s.", whose);
	family(out, name, "gauge", help);
	for (size_t i = 0; i < c->count; i++)
		count_of(out, name, c->view[i], c->view[i]->waiting);
	snprintf(name, sizeof name, "weir_%s_rate_limit", of);
	snprintf(help, sizeof help, "Requests per second allowed to %s; absent without a limit.", whose);
	family(out, name, "gauge", help);
	for (size_t i = 0; i < c->count; i++) {
		if (!c->view[i]->limit)
			continue;
		put_labels(out, name, c->view[i]);
		fprintf(out, "} %.9g\n", (double)c->view[i]->limit / 1e9);
	}
	snprintf(name, sizeof name, "weir_%s_concurrency_limit", of);
	snprintf(help, sizeof help, "Requests in flight allowed to %s; absent without a limit.", whose);
	family(out, name, "gauge", help);
	for (size_t i = 0; i < c->count; i++)
		if (c->view[i]->concurrency != UINT32_MAX)
			count_of(out, name, c->view[i], c->view[i]->concurrency);
}

static void put_left_out(FILE *out, const char *name, const char *help, size_t n)
{
	family(out, name, "gauge", help);
	fprintf(out, "%s %zu\n", name, n);
}

void weir_prometheus_narrowed(FILE *out, const struct weir_snapshot *s)
{
	struct some rules, clients;

	choose(s, is_narrowed, WEIR_PROMETHEUS_NARROWED, &rules);
	choose(s, is_client, WEIR_PROMETHEUS_CLIENTS, &clients);
	put_left_out(out, "weir_narrowed_without_labels", "Narrowed rules' limits that are known but not listed here.",
		     rules.left_out);
	put_results(out, &rules);
	put_gauges(out, "narrowed", "a narrowed rule", &rules);
	put_left_out(out, "weir_clients_without_labels", "Clients with requests under way that are not listed here.",
		     clients.left_out);
	put_gauges(out, "client", "a client with requests under way", &clients);
	free(rules.view);
	free(clients.view);
}
