/* quotad itself: what the other tests take for granted. */
#include "tests/harness/harness.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/environment.h"

/* A loaded machine may stretch a short time; it never shortens one. */
#define SLACK_S 0.4

static int status_of(const char *url)
{
	struct http_answer answer = http_get(url);
	int status = answer.curl_code == 0 ? answer.status : -answer.curl_code;

	http_answer_free(&answer);
	return status;
}

static void expect_status(const char *url, int status)
{
	assert_int_equal(status_of(url), status);
}

static void expect_body(const char *url, int status, const char *body)
{
	struct http_answer answer = http_get(url);

	assert_int_equal(answer.curl_code, CURLE_OK);
	assert_int_equal(answer.status, status);
	assert_string_equal(answer.body, body);
	http_answer_free(&answer);
}

/* Many requests at once from this one thread: the seconds that each took, by order of the start. */
static void get_at_once(const char *url, size_t count, double *seconds, int *statuses)
{
	CURLM *multi = curl_multi_init();
	CURL *easy[128];
	FILE *sink = fopen("/dev/null", "w");
	int running = 1;

	assert_true(count <= sizeof easy / sizeof easy[0]);
	for (size_t i = 0; i < count; i++) {
		easy[i] = curl_easy_init();
		curl_easy_setopt(easy[i], CURLOPT_URL, url);
		curl_easy_setopt(easy[i], CURLOPT_PROXY, "");
		curl_easy_setopt(easy[i], CURLOPT_WRITEDATA, sink);
		curl_easy_setopt(easy[i], CURLOPT_TIMEOUT_MS, 20000L);
		curl_multi_add_handle(multi, easy[i]);
	}
	while (running > 0) {
		assert_int_equal(curl_multi_perform(multi, &running), CURLM_OK);
		if (running > 0)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	for (size_t i = 0; i < count; i++) {
		curl_off_t us = 0;
		long status = 0;

		curl_easy_getinfo(easy[i], CURLINFO_TOTAL_TIME_T, &us);
		curl_easy_getinfo(easy[i], CURLINFO_RESPONSE_CODE, &status);
		seconds[i] = (double)us * 1e-6;
		statuses[i] = (int)status;
		curl_multi_remove_handle(multi, easy[i]);
		curl_easy_cleanup(easy[i]);
	}
	curl_multi_cleanup(multi);
	fclose(sink);
}

static size_t count_status(const int *statuses, size_t count, int status)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += statuses[i] == status;
	return found;
}

struct until_status {
	const char *url;
	int status;
};

static bool answers(void *data)
{
	const struct until_status *u = data;

	return status_of(u->url) == u->status;
}

struct until_requests {
	struct quotad *quotad;
	uint64_t requests;
};

static bool have_arrived(void *data)
{
	const struct until_requests *u = data;

	return quotad_count(u->quotad).requests >= u->requests;
}

static bool time_has_come(void *data)
{
	return monotonic_s() >= *(const double *)data;
}

static double header_number(const struct http_answer *answer, const char *name, size_t n)
{
	char *text = http_header(answer, name, n);
	double value;

	if (text == NULL)
		fail_msg("no header %s", name);
	value = strtod(text, NULL);
	free(text);
	return value;
}

static void expect_header(const struct http_answer *answer, const char *name, size_t n, const char *value)
{
	char *text = http_header(answer, name, n);

	if (text == NULL)
		fail_msg("no header %s", name);
	assert_string_equal(text, value);
	free(text);
}

static void expect_no_header(const struct http_answer *answer, const char *name)
{
	char *text = http_header(answer, name, 0);

	if (text != NULL)
		fail_msg("there is a header %s: %s", name, text);
}

static struct quotad *start(void **state, const char *const *options)
{
	return quotad_start(((struct scene *)*state)->dir, options);
}

/* The answer of a control request that may fail. */
static struct http_answer control(struct quotad *q, const char *method, const char *path)
{
	char url[512];

	snprintf(url, sizeof url, "http://127.0.0.1:%d%s", q->control_port, path);
	return http_send(&(struct http_request){.method = method, .url = url});
}

/* Paths */

static void every_path_answers_the_same_each_time(void **state)
{
	struct quotad *q = start(state, NULL);
	struct http_answer answer;

	expect_body(quotad_url(q, "/"), 200, "ok\n");
	expect_body(quotad_url(q, "/status/418"), 418, "status 418\n");
	expect_body(quotad_url(q, "/status/204"), 204, "");
	expect_body(quotad_url(q, "/status/99"), 400, "/status/NNN: 200 to 599\n");
	expect_body(quotad_url(q, "/n/17"), 200, "17\n");
	expect_body(quotad_url(q, "/bytes/0"), 200, "");
	expect_body(quotad_url(q, "/bytes/5"), 200, "abcde");
	expect_body(quotad_url(q, "/bytes/-5"), 400, "/bytes/N: 0 to 1073741824\n");
	expect_body(quotad_url(q, "/redirect/0/x"), 400, "/redirect/PORT/REST: a port from 1 to 65535\n");
	expect_body(quotad_url(q, "/redirect-https"), 400, "/redirect-https: quotad runs without --tls\n");
	expect_body(quotad_url(q, "/elsewhere"), 404, "not found\n");

	answer = http_get(quotad_url(q, "/bytes/1000000"));
	assert_int_equal(answer.body_bytes, 1000000);
	assert_memory_equal(answer.body + 52, "abcdefghijk\nmno", 15);
	http_answer_free(&answer);
}

static void a_redirect_leads_to_another_port(void **state)
{
	struct quotad *from = start(state, NULL);
	struct quotad *to = start(state, NULL);
	struct http_answer answer;
	char path[64];
	char location[64];

	snprintf(path, sizeof path, "/redirect/%d/n/there", to->http_port);
	snprintf(location, sizeof location, "http://127.0.0.1:%d/n/there", to->http_port);
	answer = http_get(quotad_url(from, path));
	assert_int_equal(answer.status, 302);
	expect_header(&answer, "Location", 0, location);
	http_answer_free(&answer);

	answer = http_send(&(struct http_request){.url = quotad_url(from, path), .follow = true});
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.body, "there\n");
	http_answer_free(&answer);
	assert_int_equal(quotad_count(from).requests, 2);
	assert_int_equal(quotad_count(to).requests, 1);
}

static void echo_shows_the_method_and_the_headers_sorted(void **state)
{
	struct quotad *q = start(state, NULL);
	struct http_answer answer =
		http_send(&(struct http_request){.url = quotad_url(q, "/echo"), .method = "PURGE", .body = "a body"});
	const char *accept = strstr(answer.body, "\nAccept: ");
	const char *host = strstr(answer.body, "\nHost: ");

	assert_int_equal(answer.status, 200);
	assert_memory_equal(answer.body, "PURGE\n", 6);
	assert_non_null(accept);
	assert_non_null(host);
	assert_true(accept < host);
	http_answer_free(&answer);

	answer = http_send(&(struct http_request){.url = quotad_url(q, "/"), .method = "HEAD"});
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body_bytes, 0);
	expect_header(&answer, "Content-Length", 0, "3");
	http_answer_free(&answer);
}

static void https_works_with_its_own_certificate(void **state)
{
	const char *options[] = {"--tls", NULL};
	struct quotad *q = start(state, options);
	struct http_answer answer =
		http_send(&(struct http_request){.url = quotad_https_url(q, "/n/tls"), .ca_file = q->cert_file});
	char url[64];

	assert_int_equal(answer.curl_code, CURLE_OK);
	assert_string_equal(answer.body, "tls\n");
	http_answer_free(&answer);

	snprintf(url, sizeof url, "https://localhost:%d/", q->https_port);
	answer = http_send(&(struct http_request){.url = url, .ca_file = q->cert_file});
	assert_int_equal(answer.curl_code, CURLE_OK);
	http_answer_free(&answer);

	/* A machine without ca-certificates does not even get as far as looking at the certificate. */
	answer = http_get(url);
	assert_true(answer.curl_code == CURLE_PEER_FAILED_VERIFICATION || answer.curl_code == CURLE_SSL_CACERT_BADFILE);
	http_answer_free(&answer);

	answer = http_send(
		&(struct http_request){.url = quotad_url(q, "/redirect-https/n/hop"), .ca_file = q->cert_file, .follow = true});
	assert_string_equal(answer.body, "hop\n");
	http_answer_free(&answer);
}

static void a_keep_alive_connection_answers_without_delay(void **state)
{
	struct quotad *q = start(state, NULL);
	CURL *curl = curl_easy_init();
	FILE *sink = fopen("/dev/null", "w");
	double started_s = monotonic_s();
	double seconds;

	curl_easy_setopt(curl, CURLOPT_URL, quotad_url(q, "/"));
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
	for (int i = 0; i < 500; i++)
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	seconds = monotonic_s() - started_s;
	curl_easy_cleanup(curl);
	fclose(sink);
	assert_int_equal(quotad_count(q).connections, 1);
	/* With Nagle's algorithm against delayed acknowledgements it would take 20 s. */
	assert_true(seconds < 5);
}

/* Limits */

static void a_bucket_passes_its_burst_and_then_its_rate(void **state)
{
	const char *options[] = {"--bucket", "20/s:5", NULL};
	struct quotad *q = start(state, options);
	double started_s = monotonic_s();
	double now_s;
	uint64_t accepted;

	do {
		status_of(quotad_url(q, "/"));
		now_s = monotonic_s();
	} while (now_s < started_s + 1);
	accepted = quotad_count(q).accepted;
	assert_in_range(accepted, 5 + 18, 5 + (unsigned)((now_s - started_s) * 20) + 1);
	assert_int_equal(quotad_count(q).requests, accepted + quotad_count(q).throttled);
}

static void a_bucket_of_burst_one_rejects_the_second_request(void **state)
{
	const char *options[] = {"--bucket", "60/h", "--dialect", "retry-after", NULL};
	struct quotad *q = start(state, options);
	struct http_answer answer;

	expect_status(quotad_url(q, "/"), 200);
	answer = http_get(quotad_url(q, "/"));
	assert_int_equal(answer.status, 429);
	assert_string_equal(answer.body, "throttled 429\n");
	expect_header(&answer, "Retry-After", 0, "60");
	http_answer_free(&answer);
}

static void a_window_gives_everything_back_at_its_edge(void **state)
{
	const char *options[] = {"--window", "3/700ms", NULL};
	struct quotad *q = start(state, options);
	struct until_status throttled = {quotad_url(q, "/"), 429};
	struct until_status open = {quotad_url(q, "/"), 200};
	struct quotad_arrival *arrivals;
	size_t count;
	double full_s = 0;
	double reopened_s = 0;

	assert_soon(answers, &throttled, 5, "the window is full");
	assert_soon(answers, &open, 5, "the window is open again");
	expect_status(open.url, 200);
	expect_status(open.url, 200);
	expect_status(open.url, 429);

	arrivals = quotad_journal(q, &count);
	for (size_t i = 0; i < count; i++) {
		if (full_s == 0 && arrivals[i].status == 429)
			full_s = arrivals[i].arrival_s;
		if (full_s != 0 && reopened_s == 0 && arrivals[i].status == 200)
			reopened_s = arrivals[i].arrival_s;
	}
	assert_true(reopened_s - full_s < 0.7 + SLACK_S);
	free(arrivals);
}

static void a_window_with_a_phase_is_aligned_to_the_wall_clock(void **state)
{
	const char *options[] = {"--window", "1000/3600s", "--window-phase", "10", "--dialect", "x-ratelimit-epoch", NULL};
	struct quotad *q = start(state, options);
	struct http_answer answer = http_get(quotad_url(q, "/"));

	assert_int_equal((long long)header_number(&answer, "X-RateLimit-Reset", 0) % 3600, 10);
	http_answer_free(&answer);
}

static void slots_bound_what_is_served_at_once(void **state)
{
	const char *options[] = {"--slots", "4", "--service-ms", "100", NULL};
	struct quotad *q = start(state, options);
	double seconds[12];
	int statuses[12];
	double started_s = monotonic_s();
	double longest_s = 0;

	get_at_once(quotad_url(q, "/"), 12, seconds, statuses);
	assert_int_equal(count_status(statuses, 12, 200), 12);
	for (size_t i = 0; i < 12; i++) {
		assert_true(seconds[i] >= 0.099);
		longest_s = seconds[i] > longest_s ? seconds[i] : longest_s;
	}
	/* Three rounds of four. */
	assert_true(longest_s >= 0.295);
	assert_true(monotonic_s() - started_s < 0.3 + SLACK_S);
	assert_int_equal(quotad_count(q).max_in_flight, 12);
}

static void slots_reject_with_a_status_when_told_to(void **state)
{
	const char *options[] = {"--slots", "2",         "--service-ms", "300", "--slots-reject", "503", "--latency-ms",
				 "0",       "--dialect", "retry-after",  NULL};
	struct quotad *q = start(state, options);
	double seconds[5];
	int statuses[5];

	get_at_once(quotad_url(q, "/"), 5, seconds, statuses);
	assert_int_equal(count_status(statuses, 5, 200), 2);
	assert_int_equal(count_status(statuses, 5, 503), 3);
	assert_int_equal(quotad_count(q).throttled, 3);
}

static void exponential_service_times_have_the_mean_that_was_asked_for(void **state)
{
	const char *options[] = {"--service-ms", "40", "--service-dist", "exp", "--seed", "7", NULL};
	struct quotad *q = start(state, options);
	double seconds[100];
	int statuses[100];
	double sum = 0;
	double longest_s = 0;

	get_at_once(quotad_url(q, "/"), 100, seconds, statuses);
	for (size_t i = 0; i < 100; i++) {
		sum += seconds[i];
		longest_s = seconds[i] > longest_s ? seconds[i] : longest_s;
	}
	/* The mean of 100 has a standard error of 4 ms; the seed fixes the draw, the rest is the machine. */
	assert_true(sum / 100 > 0.028 && sum / 100 < 0.052 + SLACK_S);
	assert_true(longest_s > 0.1);
}

static void latency_is_added_to_every_answer(void **state)
{
	const char *options[] = {"--latency-ms", "80", "--bucket", "1/h", NULL};
	struct quotad *q = start(state, options);

	for (int i = 0; i < 2; i++) {
		struct http_answer answer = http_get(quotad_url(q, "/"));

		assert_int_equal(answer.status, i == 0 ? 200 : 429);
		assert_true(answer.seconds >= 0.08 && answer.seconds < 0.08 + SLACK_S);
		http_answer_free(&answer);
	}
}

static void a_slow_request_does_not_hold_up_others(void **state)
{
	struct quotad *q = start(state, NULL);
	struct scene *scene = *state;
	const char *argv[] = {"curl", "-s", quotad_url(q, "/delay/20000"), NULL};
	struct running *slow = command_start(&(struct command){.argv = argv, .dir = scene->dir});
	struct until_status two = {quotad_url(q, "/"), 200};
	double started_s = monotonic_s();

	assert_soon(answers, &two, 5, "an answer beside a slow request");
	assert_true(monotonic_s() - started_s < 5);
	assert_false(command_has_exited(slow));
}

static void the_error_mix_has_its_shares(void **state)
{
	const char *options[] = {"--error-mix", "503:0.3,500:0.1", "--seed", "3", NULL};
	struct quotad *q = start(state, options);
	struct quotad_count first;
	struct quotad_count second;

	for (int i = 0; i < 400; i++)
		status_of(quotad_url(q, "/"));
	first = quotad_count(q);
	/* Within three standard deviations. */
	assert_in_range(first.by_status[503], 120 - 28, 120 + 28);
	assert_in_range(first.by_status[500], 40 - 18, 40 + 18);
	assert_int_equal(first.accepted, 400);

	quotad_reset(q);
	for (int i = 0; i < 400; i++)
		status_of(quotad_url(q, "/"));
	second = quotad_count(q);
	assert_int_equal(second.by_status[503], first.by_status[503]);
	assert_int_equal(second.by_status[500], first.by_status[500]);
}

static void a_request_must_pass_all_limits(void **state)
{
	const char *options[] = {"--bucket", "1/h:3", "--window", "2/1h", "--throttle-status", "403", NULL};
	struct quotad *q = start(state, options);

	expect_status(quotad_url(q, "/"), 200);
	expect_status(quotad_url(q, "/"), 200);
	expect_status(quotad_url(q, "/"), 403);
	/* What the window rejected has taken nothing from the bucket. */
	quotad_set(q, "window=");
	expect_status(quotad_url(q, "/"), 200);
	expect_status(quotad_url(q, "/"), 403);
}

static void the_next_requests_are_rejected_on_demand(void **state)
{
	const char *options[] = {"--dialect", "retry-after", "--retry-after", "3", NULL};
	struct quotad *q = start(state, options);

	expect_status(quotad_url(q, "/"), 200);
	quotad_set(q, "throttle-next=2");
	expect_status(quotad_url(q, "/"), 429);
	quotad_set(q, "latency-ms=0"); /* another option leaves it alone */
	expect_status(quotad_url(q, "/"), 429);
	expect_status(quotad_url(q, "/"), 200);
}

/* Dialects */

/* One throttled answer of a server that is in a fixed window of 5 per hour. */
static struct http_answer throttled_answer(struct quotad *q, const char *dialect)
{
	char query[128];
	struct http_answer answer;

	snprintf(query, sizeof query, "dialect=%s&throttle-next=1", dialect);
	quotad_set(q, query);
	answer = http_get(quotad_url(q, "/"));
	assert_int_equal(answer.status, 429);
	return answer;
}

static void no_dialect_is_a_bare_429(void **state)
{
	struct quotad *q = start(state, NULL);
	struct http_answer answer = throttled_answer(q, "none");

	expect_no_header(&answer, "Retry-After");
	expect_no_header(&answer, "RateLimit");
	expect_no_header(&answer, "X-RateLimit-Reset");
	http_answer_free(&answer);
	assert_int_equal(quotad_count(q).holds, 0);
}

static void retry_after_comes_in_three_forms(void **state)
{
	const char *options[] = {"--retry-after", "7.25", NULL};
	struct quotad *q = start(state, options);
	struct http_answer answer = throttled_answer(q, "retry-after");
	char *retry;
	char *date;
	double away_s;

	expect_header(&answer, "Retry-After", 0, "8");
	http_answer_free(&answer);

	answer = throttled_answer(q, "retry-after-float");
	expect_header(&answer, "Retry-After", 0, "7.250");
	http_answer_free(&answer);

	/* A server whose clock is two minutes slow is to be understood by its own Date. */
	quotad_set(q, "date-skew=-120");
	answer = throttled_answer(q, "retry-after-date");
	retry = http_header(&answer, "Retry-After", 0);
	date = http_header(&answer, "Date", 0);
	assert_non_null(retry);
	assert_non_null(date);
	away_s = difftime(curl_getdate(retry, NULL), curl_getdate(date, NULL));
	assert_true(away_s >= 7 && away_s <= 9);
	away_s = difftime(time(NULL), curl_getdate(date, NULL));
	assert_true(away_s >= 119 && away_s <= 130);
	free(retry);
	free(date);
	http_answer_free(&answer);
}

static void the_ratelimit_draft_tells_quota_and_reset(void **state)
{
	const char *options[] = {"--window", "5/1h", "--dialect", "ratelimit-draft", NULL};
	struct quotad *q = start(state, options);
	struct http_answer answer = http_get(quotad_url(q, "/"));
	char *limit;

	expect_header(&answer, "RateLimit-Limit", 0, "5");
	expect_header(&answer, "RateLimit-Remaining", 0, "4");
	assert_true(header_number(&answer, "RateLimit-Reset", 0) > 3590);
	limit = http_header(&answer, "RateLimit", 0);
	assert_memory_equal(limit, "\"default\";r=4;t=3", 17);
	free(limit);
	expect_header(&answer, "RateLimit-Policy", 0, "\"default\";q=5;w=3600");
	http_answer_free(&answer);

	answer = throttled_answer(q, "ratelimit-draft");
	expect_header(&answer, "RateLimit-Remaining", 0, "0");
	http_answer_free(&answer);
}

static void x_ratelimit_resets_are_epochs_or_deltas(void **state)
{
	const char *options[] = {"--retry-after", "30", NULL};
	struct quotad *q = start(state, options);
	struct http_answer answer = throttled_answer(q, "x-ratelimit-epoch");
	double away_s = header_number(&answer, "X-RateLimit-Reset", 0) - (double)time(NULL);

	assert_true(away_s > 25 && away_s < 33);
	http_answer_free(&answer);

	answer = throttled_answer(q, "x-ratelimit-epoch-ms");
	away_s = header_number(&answer, "X-RateLimit-Reset", 0) / 1000 - (double)time(NULL);
	assert_true(away_s > 25 && away_s < 33);
	http_answer_free(&answer);

	answer = throttled_answer(q, "x-ratelimit-delta");
	expect_header(&answer, "X-RateLimit-Reset", 0, "30");
	http_answer_free(&answer);
	assert_int_equal(quotad_count(q).holds, 1);
}

static void docker_tells_its_window(void **state)
{
	const char *options[] = {"--bucket", "100/6h:100", "--dialect", "docker", NULL};
	struct quotad *q = start(state, options);
	struct http_answer answer = http_get(quotad_url(q, "/"));

	expect_header(&answer, "ratelimit-limit", 0, "100;w=21600");
	expect_header(&answer, "ratelimit-remaining", 0, "99;w=21600");
	http_answer_free(&answer);
}

static void malformed_and_absurd_headers_open_no_hold(void **state)
{
	struct quotad *q = start(state, NULL);
	struct http_answer answer = throttled_answer(q, "malformed");

	expect_header(&answer, "Retry-After", 0, "soon");
	http_answer_free(&answer);
	answer = throttled_answer(q, "absurd");
	expect_header(&answer, "Retry-After", 0, "-5");
	http_answer_free(&answer);
	quotad_reset(q); /* starts the repertoire again */
	answer = throttled_answer(q, "absurd");
	expect_header(&answer, "Retry-After", 0, "31536000000");
	http_answer_free(&answer);
	assert_int_equal(quotad_count(q).holds, 0);
}

static void several_dialects_are_spoken_at_once(void **state)
{
	const char *options[] = {"--retry-after", "2", NULL};
	struct quotad *q = start(state, options);
	struct http_answer answer = throttled_answer(q, "retry-after,x-ratelimit-delta,docker");

	expect_header(&answer, "Retry-After", 0, "2");
	expect_header(&answer, "X-RateLimit-Reset", 0, "2");
	expect_header(&answer, "ratelimit-remaining", 0, "0;w=2");
	http_answer_free(&answer);
}

/* Holds */

static void a_request_inside_a_hold_is_counted(void **state)
{
	const char *options[] = {"--dialect", "retry-after", "--retry-after", "30", NULL};
	struct quotad *q = start(state, options);
	struct quotad_count count;

	quotad_set(q, "throttle-next=1");
	expect_status(quotad_url(q, "/"), 429);
	assert_int_equal(quotad_count(q).holds, 1);
	assert_int_equal(quotad_count(q).in_hold, 0);
	expect_status(quotad_url(q, "/"), 200);
	expect_status(quotad_url(q, "/"), 200);
	count = quotad_count(q);
	assert_int_equal(count.in_hold, 2);
	assert_true(count.in_hold_latest_s > 0 && count.in_hold_latest_s < SLACK_S + 1);
}

static void the_first_request_after_a_hold_tells_how_late_it_is(void **state)
{
	const char *options[] = {"--dialect", "retry-after-float", "--retry-after", "0.2", NULL};
	struct quotad *q = start(state, options);
	struct quotad_count count;
	double end_s;

	quotad_set(q, "throttle-next=1");
	expect_status(quotad_url(q, "/"), 429);
	end_s = quotad_count(q).last_s + 0.2 + 0.01;
	assert_soon(time_has_come, &end_s, 5, "the hold is over");
	expect_status(quotad_url(q, "/"), 200);
	count = quotad_count(q);
	assert_int_equal(count.in_hold, 0);
	assert_true(count.resume_late_max_s >= 0.005 && count.resume_late_max_s < SLACK_S);
}

/* Outages */

static int connect_to(int port, bool blocking)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static void a_refusing_server_resets_connections_and_comes_back_on_the_same_port(void **state)
{
	const char *options[] = {"--tls", NULL};
	struct quotad *q = start(state, options);
	struct until_status back = {quotad_url(q, "/"), 200};
	int open = connect_to(q->http_port, true);
	char byte;

	expect_status(back.url, 200);
	for (int round = 0; round < 2; round++) {
		quotad_outage(q, "refuse", 0);
		expect_status(back.url, -CURLE_COULDNT_CONNECT);
		assert_int_equal(connect_to(q->http_port, true), -1);
		assert_int_equal(errno, ECONNREFUSED);
		assert_int_equal(connect_to(q->https_port, true), -1);
		quotad_outage(q, "none", 0);
		expect_status(back.url, 200);
	}
	/* A connection that was open is closed, as when the server's process dies. */
	assert_int_equal(read(open, &byte, 1), 0);
	close(open);
	/* At least ours: all of the machine's resets are in there. */
	assert_true(quotad_count(q).netns_resets >= 6);
}

static void an_outage_ends_by_itself(void **state)
{
	struct quotad *q = start(state, NULL);
	struct until_status back = {quotad_url(q, "/"), 200};
	double started_s = monotonic_s();

	quotad_outage(q, "refuse", 0.3);
	expect_status(back.url, -CURLE_COULDNT_CONNECT);
	assert_soon(answers, &back, 5, "the outage is over");
	assert_true(monotonic_s() - started_s >= 0.3);
	assert_true(monotonic_s() - started_s < 0.3 + SLACK_S);
}

static void a_hanging_server_accepts_and_never_answers(void **state)
{
	struct quotad *q = start(state, NULL);
	struct http_answer answer;
	struct quotad_count count;

	quotad_outage(q, "hang", 0);
	answer = http_send(&(struct http_request){.url = quotad_url(q, "/"), .limit_s = 0.3});
	assert_int_equal(answer.curl_code, CURLE_OPERATION_TIMEDOUT);
	http_answer_free(&answer);
	count = quotad_count(q);
	assert_int_equal(count.outage_connections, 1);
	assert_int_equal(count.hung, 1);
	assert_int_equal(count.requests, 1);
	assert_int_equal(count.accepted, 0);
	quotad_outage(q, "none", 0);
	expect_status(quotad_url(q, "/"), 200);
	assert_int_equal(quotad_count(q).outage_connections, 1);
}

static void requests_that_hang_are_cut_off_when_the_outage_ends(void **state)
{
	struct quotad *q = start(state, NULL);
	struct http_answer answer;

	quotad_outage(q, "hang", 0.3);
	answer = http_get(quotad_url(q, "/"));
	assert_int_equal(answer.curl_code, CURLE_GOT_NOTHING);
	assert_true(answer.seconds > 0.2 && answer.seconds < 0.3 + SLACK_S);
	http_answer_free(&answer);
}

static void a_black_hole_drops_syns(void **state)
{
	struct quotad *q = start(state, NULL);
	struct pollfd poller = {.events = POLLOUT};
	struct quotad_count count;

	quotad_outage(q, "blackhole", 0);
	poller.fd = connect_to(q->http_port, false);
	assert_true(poller.fd >= 0);
	assert_int_equal(poll(&poller, 1, 300), 0);
	count = quotad_count(q);
	assert_true(count.dropped_syns >= 1); /* more if the client has tried again */
	assert_int_equal(count.connections, 0);

	/* Once it is over, the client's next SYN (a second after the first) gets through. */
	quotad_outage(q, "none", 0);
	assert_int_equal(poll(&poller, 1, 5000), 1);
	close(poller.fd);
	expect_status(quotad_url(q, "/"), 200);
	/* Its own connections, which had filled the queue, do not count. */
	assert_int_equal(quotad_count(q).connections, 2);
}

static void outages_follow_one_another(void **state)
{
	static const char *const kinds[] = {"refuse", "blackhole", "hang", "blackhole", "refuse", "hang", "none"};
	struct quotad *q = start(state, NULL);

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		quotad_outage(q, kinds[i], 0);
	expect_status(quotad_url(q, "/"), 200);
}

/* Control */

static void counts_are_kept_in_all_and_since_the_mark(void **state)
{
	struct quotad *q = start(state, NULL);
	double before_s = monotonic_s();
	struct quotad_count count;

	expect_status(quotad_url(q, "/"), 200);
	expect_status(quotad_url(q, "/status/500"), 500);
	quotad_mark(q);
	assert_int_equal(quotad_count_since_mark(q).requests, 0);
	assert_true(quotad_count_since_mark(q).first_s == 0);
	expect_status(quotad_url(q, "/status/404"), 404);

	count = quotad_count(q);
	assert_int_equal(count.requests, 3);
	assert_int_equal(count.accepted, 3);
	assert_int_equal(count.by_status[200], 1);
	assert_int_equal(count.by_status[500], 1);
	assert_int_equal(count.connections, 3);
	assert_int_equal(count.max_in_flight, 1);
	assert_true(before_s <= count.first_s && count.first_s < count.last_s && count.last_s <= monotonic_s());

	count = quotad_count_since_mark(q);
	assert_int_equal(count.requests, 1);
	assert_int_equal(count.by_status[200], 0);
	assert_int_equal(count.by_status[404], 1);

	quotad_reset(q);
	assert_int_equal(quotad_count(q).requests, 0);
}

static void the_journal_shows_requests_in_the_order_of_their_arrival(void **state)
{
	const char *options[] = {"--bucket", "1/h:2", NULL};
	struct quotad *q = start(state, options);
	struct quotad_arrival *arrivals;
	size_t count;

	expect_status(quotad_url(q, "/n/first?a=secret"), 200);
	expect_status(quotad_url(q, "/n/second"), 200);
	expect_status(quotad_url(q, "/n/third"), 429);
	arrivals = quotad_journal(q, &count);
	assert_int_equal(count, 3);
	assert_string_equal(arrivals[0].path, "/n/first");
	assert_string_equal(arrivals[2].path, "/n/third");
	assert_int_equal(arrivals[2].status, 429);
	assert_true(arrivals[0].arrival_s < arrivals[1].arrival_s && arrivals[1].arrival_s < arrivals[2].arrival_s);
	free(arrivals);
}

static void a_limit_can_be_changed_while_the_server_runs(void **state)
{
	struct quotad *q = start(state, NULL);

	quotad_set(q, "bucket=1/h:2&throttle-status=503");
	expect_status(quotad_url(q, "/"), 200);
	expect_status(quotad_url(q, "/"), 200);
	expect_status(quotad_url(q, "/"), 503);
	/* A new rate gives nothing back that was used. */
	quotad_set(q, "bucket=2/h:2");
	expect_status(quotad_url(q, "/"), 503);
	quotad_set(q, "bucket=");
	expect_status(quotad_url(q, "/"), 200);
}

static void bad_control_requests_are_explained_and_change_nothing(void **state)
{
	static const struct {
		const char *method;
		const char *path;
		int status;
		const char *says;
	} cases[] = {
		{"POST", "/set?bucket=banana", 400, "bucket: \"banana\" is not RATE[:BURST]"},
		{"POST", "/set?bucket=10/s:0", 400, "bucket"},
		{"POST", "/set?bucket=10/s:1:2", 400, "bucket"},
		{"POST", "/set?bucket=-1/s", 400, "bucket"},
		{"POST", "/set?bucket=1/s:nan", 400, "bucket"},
		{"POST", "/set?window=1.5/s", 400, "window"},
		{"POST", "/set?window=60/60y", 400, "window"},
		{"POST", "/set?slots=0", 400, "slots"},
		{"POST", "/set?service-dist=gauss", 400, "service-dist"},
		{"POST", "/set?error-mix=503:0.9,500:0.2", 400, "error-mix"},
		{"POST", "/set?error-mix=200:0.9", 400, "error-mix"},
		{"POST", "/set?dialect=klingon", 400, "dialect"},
		{"POST", "/set?throttle-status=200", 400, "throttle-status"},
		{"POST", "/set?retry-after=-1", 400, "retry-after"},
		{"POST", "/set?latency-ms=50&dialect=klingon", 400, "dialect"},
		{"POST", "/set?colour=red", 400, "unknown option \"colour\""},
		{"POST", "/set?port=80", 400, "command line only"},
		{"POST", "/set", 400, "name an option"},
		{"POST", "/outage?kind=flood", 400, "kind=none, refuse, hang or blackhole"},
		{"POST", "/outage", 400, "kind="},
		{"POST", "/outage?kind=refuse&seconds=-1", 400, "seconds"},
		{"GET", "/set?bucket=1/h", 405, "use POST"},
		{"POST", "/count", 405, "use GET"},
		{"GET", "/nothing", 404, "no such path"},
	};
	struct quotad *q = start(state, NULL);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct http_answer answer = control(q, cases[i].method, cases[i].path);

		if (answer.status != cases[i].status || strstr(answer.body, cases[i].says) == NULL)
			fail_msg("%s %s: %d %s", cases[i].method, cases[i].path, answer.status, answer.body);
		http_answer_free(&answer);
	}
	for (int i = 0; i < 5; i++) {
		struct http_answer answer = http_get(quotad_url(q, "/"));

		assert_int_equal(answer.status, 200);
		assert_true(answer.seconds < 0.05 + SLACK_S);
		expect_no_header(&answer, "Retry-After");
		http_answer_free(&answer);
	}
}

static void bad_options_are_refused_with_status_64(void **state)
{
	static const char *const cases[][2] = {
		{"--listen 0.0.0.0", "listen"},     {"--port 70000", "port"},           {"--port", "needs a value"},
		{"--colour red", "unknown option"}, {"nonsense", "unknown option"},     {"--tls=1", "takes no value"},
		{"--bucket x", "bucket"},           {"--max-seconds 0", "max-seconds"},
	};
	struct scene *scene = *state;
	char *program = build_path("quotad");

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char line[1024];
		struct outcome o;

		snprintf(line, sizeof line, "exec '%s' %s", program, cases[i][0]);
		o = command_run(&(struct command){.shell = line, .dir = scene->dir});
		if (o.exit_status != 64 || strncmp(o.err, "quotad: ", 8) != 0 || strstr(o.err, cases[i][1]) == NULL)
			fail_msg("%s: exit %d, %s", cases[i][0], o.exit_status, o.err);
		assert_string_equal(o.out, "");
		outcome_free(&o);
	}
	free(program);
}

static void a_taken_port_is_a_clear_error(void **state)
{
	struct quotad *q = start(state, NULL);
	struct scene *scene = *state;
	char *program = build_path("quotad");
	char port[16];
	const char *argv[] = {program, "--port", port, NULL};
	struct outcome o;

	snprintf(port, sizeof port, "%d", q->http_port);
	o = command_run(&(struct command){.argv = argv, .dir = scene->dir});
	assert_int_equal(o.exit_status, 1);
	assert_non_null(strstr(o.err, "cannot listen on 127.0.0.1:"));
	outcome_free(&o);
	free(program);
}

static void it_leaves_when_told_to_and_when_its_time_is_over(void **state)
{
	struct scene *scene = *state;
	char *program = build_path("quotad");
	const char *help[] = {program, "--help", NULL};
	const char *brief[] = {program, "--max-seconds", "0.2", NULL};
	const char *until_told[] = {program, NULL};
	struct command command = {.argv = help, .dir = scene->dir};
	struct outcome o = command_run(&command);
	struct running *r;

	assert_int_equal(o.exit_status, 0);
	assert_non_null(strstr(o.out, "--bucket RATE[:BURST]"));
	outcome_free(&o);

	command.argv = brief;
	o = command_run(&command);
	assert_int_equal(o.exit_status, 0);
	assert_memory_equal(o.out, "http=", 5);
	assert_true(o.seconds >= 0.2 && o.seconds < 5);
	outcome_free(&o);

	command.argv = until_told;
	r = command_start(&command);
	command_signal(r, SIGTERM); /* even before it is ready it must not stay */
	o = command_wait(r);
	outcome_free(&o);
	free(program);
}

static void quit_ends_it_in_the_middle_of_everything(void **state)
{
	struct scene *scene = *state;
	struct quotad *q = start(state, NULL);
	const char *slow[] = {"curl", "-s", quotad_url(q, "/delay/60000"), NULL};
	const char *hung[] = {"curl", "-s", quotad_url(q, "/"), NULL};
	struct running *first = command_start(&(struct command){.argv = slow, .dir = scene->dir});
	struct running *second;
	struct outcome o;
	double started_s;

	assert_soon(have_arrived, &(struct until_requests){q, 1}, 10, "the slow request has arrived");
	quotad_outage(q, "hang", 0);
	second = command_start(&(struct command){.argv = hung, .dir = scene->dir});
	assert_soon(have_arrived, &(struct until_requests){q, 2}, 10, "the hanging request has arrived");
	started_s = monotonic_s();
	quotad_stop(q);
	assert_true(monotonic_s() - started_s < 5);
	o = command_wait(first);
	assert_int_equal(o.exit_status, CURLE_GOT_NOTHING);
	outcome_free(&o);
	o = command_wait(second);
	assert_int_equal(o.exit_status, CURLE_GOT_NOTHING);
	outcome_free(&o);
}

static void it_dies_with_its_parent(void **state)
{
	struct scene *scene = *state;
	char *program = build_path("quotad");
	char line[1024];
	struct outcome o;
	int pid = 0;

	/* In a session of its own, or the harness would kill it with the group. */
	snprintf(line, sizeof line,
		 "setsid '%s' --die-with-parent --ready-file ready >/dev/null & "
		 "while ! test -s ready; do sleep 0.01; done; grep pid ready",
		 program);
	o = command_run(&(struct command){.shell = line, .dir = scene->dir, .cwd = scene->dir});
	assert_int_equal(o.exit_status, 0);
	assert_int_equal(sscanf(o.out, "pid=%d", &pid), 1);
	outcome_free(&o);
	free(program);
	assert_true(wait_for_exit(pid, 5));
}

static void sixty_four_connections_are_served_at_once(void **state)
{
	struct quotad *q = start(state, NULL);
	double seconds[64];
	int statuses[64];
	double started_s = monotonic_s();

	get_at_once(quotad_url(q, "/delay/200"), 64, seconds, statuses);
	assert_int_equal(count_status(statuses, 64, 200), 64);
	assert_true(monotonic_s() - started_s < 0.2 + 3 * SLACK_S);
	assert_int_equal(quotad_count(q).max_in_flight, 64);
}

#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(every_path_answers_the_same_each_time),
		SCENE_TEST(a_redirect_leads_to_another_port),
		SCENE_TEST(echo_shows_the_method_and_the_headers_sorted),
		SCENE_TEST(https_works_with_its_own_certificate),
		SCENE_TEST(a_keep_alive_connection_answers_without_delay),
		SCENE_TEST(a_bucket_passes_its_burst_and_then_its_rate),
		SCENE_TEST(a_bucket_of_burst_one_rejects_the_second_request),
		SCENE_TEST(a_window_gives_everything_back_at_its_edge),
		SCENE_TEST(a_window_with_a_phase_is_aligned_to_the_wall_clock),
		SCENE_TEST(slots_bound_what_is_served_at_once),
		SCENE_TEST(slots_reject_with_a_status_when_told_to),
		SCENE_TEST(exponential_service_times_have_the_mean_that_was_asked_for),
		SCENE_TEST(latency_is_added_to_every_answer),
		SCENE_TEST(a_slow_request_does_not_hold_up_others),
		SCENE_TEST(the_error_mix_has_its_shares),
		SCENE_TEST(a_request_must_pass_all_limits),
		SCENE_TEST(the_next_requests_are_rejected_on_demand),
		SCENE_TEST(no_dialect_is_a_bare_429),
		SCENE_TEST(retry_after_comes_in_three_forms),
		SCENE_TEST(the_ratelimit_draft_tells_quota_and_reset),
		SCENE_TEST(x_ratelimit_resets_are_epochs_or_deltas),
		SCENE_TEST(docker_tells_its_window),
		SCENE_TEST(malformed_and_absurd_headers_open_no_hold),
		SCENE_TEST(several_dialects_are_spoken_at_once),
		SCENE_TEST(a_request_inside_a_hold_is_counted),
		SCENE_TEST(the_first_request_after_a_hold_tells_how_late_it_is),
		SCENE_TEST(a_refusing_server_resets_connections_and_comes_back_on_the_same_port),
		SCENE_TEST(an_outage_ends_by_itself),
		SCENE_TEST(a_hanging_server_accepts_and_never_answers),
		SCENE_TEST(requests_that_hang_are_cut_off_when_the_outage_ends),
		SCENE_TEST(a_black_hole_drops_syns),
		SCENE_TEST(outages_follow_one_another),
		SCENE_TEST(counts_are_kept_in_all_and_since_the_mark),
		SCENE_TEST(the_journal_shows_requests_in_the_order_of_their_arrival),
		SCENE_TEST(a_limit_can_be_changed_while_the_server_runs),
		SCENE_TEST(bad_control_requests_are_explained_and_change_nothing),
		SCENE_TEST(bad_options_are_refused_with_status_64),
		SCENE_TEST(a_taken_port_is_a_clear_error),
		SCENE_TEST(it_leaves_when_told_to_and_when_its_time_is_over),
		SCENE_TEST(quit_ends_it_in_the_middle_of_everything),
		SCENE_TEST(it_dies_with_its_parent),
		SCENE_TEST(sixty_four_connections_are_served_at_once),
	};

	curl_global_init(CURL_GLOBAL_DEFAULT);
	return cmocka_run_group_tests_name("quotad", tests, NULL, NULL);
}
