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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_checker_refuses_what_is_wrong),
		cmocka_unit_test_setup_teardown(an_empty_segment_makes_a_valid_page, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(counters_and_histograms_of_a_host_are_exported, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(a_name_from_the_network_cannot_break_the_page, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(no_more_than_two_hundred_hosts_get_labels, bench_setup, bench_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
