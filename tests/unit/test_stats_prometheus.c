/* SPDX-License-Identifier: MIT */
#include "src/stats/render.h"

#include "prometheus_check.h"
#include "stats_bench.h"

static char *page_of(struct stats_bench *b)
{
	struct weir_snapshot s;
	assert_true(weir_snapshot_take(&b->segment, NULL, b->now, WALL_NS, &s));
	char *page = RENDERED(weir_render_prometheus(&s, out));
	weir_snapshot_free(&s);
	return page;
}

static void the_checker_refuses_what_is_wrong(void **state)
{
	(void)state;
	assert_null(prometheus_wrong("# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2.5\n"));
	assert_non_null(prometheus_wrong("a 1\n"));
	assert_non_null(prometheus_wrong("# HELP a A.\n# TYPE a gauge\na{x=1} 1\n"));
	assert_non_null(prometheus_wrong("# HELP a A.\n# TYPE a gauge\na 1\na 1\n"));
	assert_non_null(prometheus_wrong("# HELP a A.\n# TYPE a counter\na 1\n"));
	assert_non_null(prometheus_wrong("# HELP a A.\n# TYPE a gauge\na 1"));
	assert_non_null(prometheus_wrong("# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n"));
}

static void an_empty_segment_makes_a_valid_page(void **state)
{
	char *page = page_of(*state);
	assert_null(prometheus_wrong(page));
	assert_contains(page, "weir_hosts 0\n");
	free(page);
}

static void counters_and_histograms_of_a_host_are_exported(void **state)
{
	struct stats_bench *b = *state;
	for (int i = 0; i < 3; i++)
		bench_request(b, "api.example.org:443", WEIR_SUCCEEDED, 20, 0);
	bench_request(b, "api.example.org:443", WEIR_FAILED, 2000, 0);
	char *page = page_of(b);
	assert_null(prometheus_wrong(page));
	assert_contains(page, "weir_requests_total{host=\"api.example.org:443\",decision=\"admitted\"} 4\n");
	assert_contains(page, "weir_results_total{host=\"api.example.org:443\",outcome=\"failed\"} 1\n");
	assert_contains(page, "weir_latency_seconds_bucket{host=\"api.example.org:443\",le=\"0.025\"} 3\n");
	assert_contains(page, "weir_latency_seconds_count{host=\"api.example.org:443\"} 4\n");
	assert_contains(page, "weir_breaker_state{host=\"api.example.org:443\",state=\"closed\"} 1\n");
	assert_contains(page, "weir_error_ratio{host=\"api.example.org:443\"} 0.25\n");
	free(page);
}

static void a_name_from_the_network_cannot_break_the_page(void **state)
{
	struct stats_bench *b = *state;
	bench_request(b, "a\"b\\c\nd\x80:80", WEIR_SUCCEEDED, 1, 0);
	char *page = page_of(b);
	assert_null(prometheus_wrong(page));
	free(page);
}

static void no_more_than_two_hundred_hosts_get_labels(void **state)
{
	struct stats_bench *b = *state;
	char host[32];
	for (int i = 0; i < 230; i++) {
		snprintf(host, sizeof host, "h%d.example.org:443", i);
		bench_request(b, host, WEIR_SUCCEEDED, 1, 0);
		if (i == 229)
			bench_request(b, host, WEIR_SUCCEEDED, 1, 0);
	}
	char *page = page_of(b);
	assert_null(prometheus_wrong(page));
	unsigned hosts = 0;
	for (const char *at = page; (at = strstr(at, "\nweir_in_flight{")); at++)
		hosts++;
	assert_int_equal(hosts, WEIR_PROMETHEUS_HOSTS);
	assert_contains(page, "weir_hosts_without_labels 30\n");
	assert_contains(page, "h229.example.org");
	free(page);
}

/* All hosts of example.org: 20/s for POST to /x, beside 100/s; each client 5/s. */
static void publish_narrowed(struct stats_bench *b, uint64_t client_rate)
{
	struct weir_rule rules[3];

	for (int i = 0; i < 3; i++) {
		weir_rule_defaults(&rules[i]);
		strcpy(rules[i].match, i < 2 ? "*.example.org" : "*");
		rules[i].flags = i < 2 ? WEIR_RULE_GLOB | WEIR_RULE_ANY_PORT | WEIR_RULE_LIMITS_RATE : WEIR_RULE_LIMITS_RATE;
		rules[i].rate.strategy = WEIR_FIXED;
		rules[i].rate.max = (i == 1 ? 20 : 100) * WEIR_RATE_ONE;
	}
	rules[0].narrow.first = 1;
	rules[0].narrow.count = 1;
	rules[0].narrow.client_rate = client_rate;
	rules[0].narrow.client_burst = 1;
	rules[1].narrow.flags = WEIR_NARROW_IS;
	strcpy(rules[1].narrow.path, "/x");
	rules[1].narrow.methods = weir_method_bit("POST", 4);
	bench_publish(b, rules, 3);
	strcpy(b->gate.client, "nightly");
}

static void ask(struct stats_bench *b, const char *host, struct weir_request *r)
{
	struct weir_wish wish = {.host_port = host,
				 .asks = {.path = "/x", .path_bytes = 2, .method = weir_method_bit("POST", 4)}};
	uint64_t wake;

	assert_int_equal(weir_gate_begin(&b->gate, r, &wish, b->now, &wake), WEIR_GO);
}

static void narrowed_rules_and_clients_have_metrics_of_their_own(void **state)
{
	struct stats_bench *b = *state;
	struct weir_request r;
	struct weir_result result = {.outcome = WEIR_THROTTLED, .latency_ns = SECOND / 100};

	publish_narrowed(b, 5 * WEIR_RATE_ONE);
	ask(b, "api.example.org:443", &r);
	weir_gate_settle(&b->gate, &r, &result, b->now);
	b->now += 60 * SECOND;
	ask(b, "api.example.org:443", &r);
	char *page = page_of(b);
	assert_null(prometheus_wrong(page));
	assert_contains(page,
			"weir_narrowed_results_total{host=\"api.example.org:443\",rule=\"POST/x\",outcome=\"throttled\"} 1\n");
	assert_contains(page,
			"weir_narrowed_results_total{host=\"api.example.org:443\",rule=\"POST/x\",outcome=\"succeeded\"} 0\n");
	assert_contains(page, "weir_narrowed_in_flight{host=\"api.example.org:443\",rule=\"POST/x\"} 1\n");
	assert_contains(page, "weir_narrowed_waiting{host=\"api.example.org:443\",rule=\"POST/x\"} 0\n");
	assert_contains(page, "weir_narrowed_rate_limit{host=\"api.example.org:443\",rule=\"POST/x\"} 20\n");
	assert_contains(page, "weir_client_in_flight{host=\"api.example.org:443\",client=\"nightly\"} 1\n");
	assert_contains(page, "weir_client_rate_limit{host=\"api.example.org:443\",client=\"nightly\"} 5\n");
	/* They are no hosts. */
	assert_contains(page, "weir_hosts 1\n");
	assert_lacks(page, "host=\"api.example.org:443#");
	free(page);
}

static unsigned samples_of(const char *page, const char *begin)
{
	unsigned n = 0;

	for (const char *at = page; (at = strstr(at, begin)); at++)
		n++;
	return n;
}

/* However many hosts one rule is for, and however many call themselves a client. */
static void labels_below_hosts_are_bounded(void **state)
{
	struct stats_bench *b = *state;
	static struct weir_request r[60];
	struct weir_result result = {.outcome = WEIR_SUCCEEDED, .latency_ns = SECOND / 100};
	char host[32];

	publish_narrowed(b, 0);
	for (int i = 0; i < 130; i++) {
		struct weir_request one;

		snprintf(host, sizeof host, "h%d.example.org:443", i);
		ask(b, host, &one);
		weir_gate_settle(&b->gate, &one, &result, b->now);
	}
	publish_narrowed(b, 5 * WEIR_RATE_ONE);
	for (int i = 0; i < 60; i++, b->now += SECOND) {
		snprintf(b->gate.client, sizeof b->gate.client, "client-%d", i);
		ask(b, "h129.example.org:443", &r[i]);
	}
	char *page = page_of(b);
	assert_null(prometheus_wrong(page));
	assert_int_equal(samples_of(page, "\nweir_narrowed_in_flight{"), WEIR_PROMETHEUS_NARROWED);
	assert_contains(page, "weir_narrowed_without_labels 30\n");
	assert_contains(page, "weir_narrowed_in_flight{host=\"h129.example.org:443\",rule=\"POST/x\"} 60\n");
	assert_int_equal(samples_of(page, "\nweir_client_in_flight{"), WEIR_PROMETHEUS_CLIENTS);
	assert_contains(page, "weir_clients_without_labels 10\n");
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_checker_refuses_what_is_wrong),
		cmocka_unit_test_setup_teardown(an_empty_segment_makes_a_valid_page, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(counters_and_histograms_of_a_host_are_exported, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(a_name_from_the_network_cannot_break_the_page, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(no_more_than_two_hundred_hosts_get_labels, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(narrowed_rules_and_clients_have_metrics_of_their_own, bench_setup,
						bench_teardown),
		cmocka_unit_test_setup_teardown(labels_below_hosts_are_bounded, bench_setup, bench_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
