/* curl under weir: the same output and exit status as without, and what weir makes of each transfer. */
#include "tests/harness/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/closed_port.h"
#include "tests/integration/every_agent.h"
#include "tests/integration/host_counts.h"

/* A loaded machine may stretch a short time; it never shortens one. */
#define SLACK_S 0.5

/* A server with TLS, and the variables that the commands below use. */
struct stage {
	struct scene *scene;
	struct quotad *server;
	char *env[8];
	int closed, closed_fd;
	char host_port[64];
};

static void stage_open(struct stage *s, void **state, const char *const *options)
{
	static const char *const with_tls[] = {"--tls", NULL};
	size_t n = 0;

	memset(s, 0, sizeof *s);
	s->scene = *state;
	s->server = quotad_start(s->scene->dir, options ? options : with_tls);
	s->closed = closed_port(&s->closed_fd);
	assert_true(asprintf(&s->env[n++], "U=http://127.0.0.1:%d", s->server->http_port) > 0);
	assert_true(asprintf(&s->env[n++], "S=https://localhost:%d", s->server->https_port) > 0);
	assert_true(asprintf(&s->env[n++], "PORT=%d", s->server->http_port) > 0);
	assert_true(asprintf(&s->env[n++], "CLOSED=%d", s->closed) > 0);
	assert_true(asprintf(&s->env[n++], "CA=%s", s->server->cert_file ? s->server->cert_file : "") > 0);
	assert_true(asprintf(&s->env[n++], "D=%s", s->scene->dir) > 0);
	host_port_of(s->host_port, "127.0.0.1", s->server->http_port);
}

static void stage_close(struct stage *s)
{
	for (size_t i = 0; s->env[i]; i++)
		free(s->env[i]);
	close(s->closed_fd);
}

static struct outcome run(struct stage *s, const char *shell)
{
	struct command c = {.shell = shell, .mode = COMMAND_UNDER_WEIR, .dir = s->scene->dir, .env = (const char *const *)s->env};

	return command_run(&c);
}

static void expect(struct stage *s, const char *shell, int exit_status, const char *out)
{
	struct outcome o = run(s, shell);

	assert_string_equal(o.out, out);
	assert_int_equal(o.exit_status, exit_status);
	outcome_free(&o);
}

/* A label of a name is at most 63 characters long: this fails without asking anybody. */
#define NO_SUCH_HOST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"

static const struct {
	const char *shell;
	enum same what;
} command_lines[] = {
	{"curl -sS $U/bytes/20000", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS -o /dev/null -w '%{http_code} %{num_connects} %{size_download}\\n' $U/status/404", SAME_OUTPUT_AND_ERRORS},
	{"curl -sSf $U/status/404", SAME_OUTPUT_AND_ERRORS},
	{"curl -sSf $U/status/500", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS -I $U/n/1 | grep -vi ^date", SAME_OUTPUT_AND_ERRORS},
	{"curl -sv $U/n/1 2>&1 | grep -vi '^[<*] date'", SAME_OUTPUT},
	{"curl -sSL -w '%{url_effective} %{num_redirects}\\n' $U/redirect/$PORT/n/5", SAME_OUTPUT_AND_ERRORS},
	{"curl -sSL --cacert $CA $U/redirect-https/n/6", SAME_OUTPUT_AND_ERRORS},
	{"curl -sSL --max-redirs 0 $U/redirect/$PORT/n/5", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS $U/redirect/$PORT/n/5", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS $U/n/1 $U/n/2 $U/n/3", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS \"$U/n/[1-5]\"", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS --fail-early http://127.0.0.1:$CLOSED/ $U/n/2", SAME_OUTPUT},
	{"curl -sSZ -o $D/a $U/n/1 -o $D/b $U/n/2 -o $D/c $U/n/3 && cat $D/a $D/b $D/c", SAME_OUTPUT},
	{"echo text | curl -sS -T - $U/echo", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS -d a=b -d c=d $U/echo", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS -X DELETE -o /dev/null -w '%{http_code}\\n' $U/status/204", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS --cacert $CA $S/n/9", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS $S/n/9", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS -k $S/n/9 $S/n/10", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS http://" NO_SUCH_HOST "/", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS 'http://[::1'", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS foo://127.0.0.1/", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS http://127.0.0.1:$CLOSED/", SAME_OUTPUT},
	{"curl -sS ftp://127.0.0.1:$CLOSED/", SAME_OUTPUT},
	{"curl -sS --unix-socket $D/nobody http://127.0.0.1/", SAME_OUTPUT},
	{"curl -sS file:///etc/hostname", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS -m 0.3 $U/delay/5000", SAME_OUTPUT},
	{"curl -sS -o $D/out $U/bytes/300000 && cksum <$D/out", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS -o /no/such/directory/out $U/n/1", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS $U/bytes/3000000 | head -c 1000 | wc -c", SAME_OUTPUT},
	{"curl -sS -x http://127.0.0.1:$PORT http://elsewhere.test/n/3", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS -x http://127.0.0.1:$CLOSED $U/n/3", SAME_OUTPUT},
	{"curl -sS --connect-to elsewhere.test:80:127.0.0.1:$PORT http://elsewhere.test/n/4", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS --retry 2 --retry-delay 0 --retry-max-time 1 -o /dev/null -w '%{http_code}\\n' $U/status/404", SAME_OUTPUT},
	{"curl -sS --no-keepalive --http1.0 $U/n/11", SAME_OUTPUT_AND_ERRORS},
	{"curl -sS --max-filesize 10 $U/bytes/1000", SAME_OUTPUT_AND_ERRORS},
	{"curl", SAME_OUTPUT_AND_ERRORS},
	{"curl --version", SAME_OUTPUT_AND_ERRORS},
};

static void every_command_line_of_curl_does_what_it_does_without_weir(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	for (size_t i = 0; i < sizeof command_lines / sizeof command_lines[0]; i++) {
		struct command c = {.shell = command_lines[i].shell, .dir = s.scene->dir, .env = (const char *const *)s.env};

		assert_same_with_and_without_weir(&c, command_lines[i].what);
	}
	assert_int_equal(leases_held(s.scene), 0);
	stage_close(&s);
}

static void each_transfer_is_one_request_however_many_connections_it_takes(void **state)
{
	struct stage s;
	struct host_counts n;

	stage_open(&s, state, NULL);
	expect(&s, "curl -sS $U/n/1 $U/n/2 $U/n/3", 0, "1\n2\n3\n");
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.admitted, 3);
	assert_int_equal(n.succeeded, 3);
	assert_int_equal(n.connections, 1);
	assert_int_equal(n.permits, 0);
	stage_close(&s);
}

static void answers_are_told_apart(void **state)
{
	struct stage s;
	struct host_counts n;

	stage_open(&s, state, NULL);
	expect(&s, "curl -sS -o /dev/null $U/status/404 -o /dev/null $U/status/204", 0, "");
	expect(&s, "curl -sS -o /dev/null $U/status/500", 0, "");
	expect(&s, "curl -sSf $U/status/429 2>/dev/null", 22, "");
	expect(&s, "curl -sS -m 0.2 $U/delay/5000 2>/dev/null", 28, "");
	expect(&s, "curl -sS -o /no/such/directory/out $U/n/1 2>/dev/null", 23, "");
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.succeeded, 2);
	assert_int_equal(n.failed, 1);
	assert_int_equal(n.throttled, 1);
	/* The program could not write, and the program was impatient: neither is the host's failure. */
	assert_int_equal(n.ignored, 2);
	assert_int_equal(n.admitted, 6);
	stage_close(&s);
}

static void the_hops_of_a_redirect_count_for_the_hosts_that_answered(void **state)
{
	static const char *const throttled[] = {"--throttle-next", "1", "--dialect", "retry-after", "--retry-after", "30", NULL};
	struct stage s;
	struct quotad *other;
	struct host_counts n;
	char shell[200], host_port[64];

	stage_open(&s, state, NULL);
	other = quotad_start(s.scene->dir, throttled);
	snprintf(shell, sizeof shell, "curl -sSL -o /dev/null -w '%%{http_code}' $U/redirect/%d/n/1", other->http_port);
	expect(&s, shell, 0, "429");
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.succeeded, 1);
	assert_int_equal(n.throttled, 0);
	assert_true(n.hold_s == 0);
	n = counts_of(s.scene, host_port_of(host_port, "127.0.0.1", other->http_port));
	assert_int_equal(n.admitted, 1);
	assert_int_equal(n.throttled, 1);
	assert_int_equal(n.connections, 1);
	assert_true(n.hold_s > 20);
	stage_close(&s);
}

static double longest_latency_s(struct stage *s, const char *host_port)
{
	struct weir_segment segment;
	struct weir_histogram_copy latency;

	assert_true(segment_of(s->scene, NULL, &segment));
	weir_durations_copy(&segment, weir_entry_find(&segment, host_port), WEIR_DURATIONS_LATENCY, &latency);
	weir_segment_close(&segment);
	return (double)weir_histogram_quantile_ns(&latency, 1000) / 1e9;
}

static void a_redirect_waits_for_the_hold_of_the_host_it_leads_to(void **state)
{
	static const char *const throttled[] = {"--throttle-next", "1", "--dialect", "retry-after", "--retry-after", "2", NULL};
	struct stage s;
	struct quotad *other;
	struct outcome o;
	char shell[200], host_port[64];

	stage_open(&s, state, NULL);
	other = quotad_start(s.scene->dir, throttled);
	snprintf(shell, sizeof shell, "curl -sS -o /dev/null -w '%%{http_code}' http://127.0.0.1:%d/n/1", other->http_port);
	expect(&s, shell, 0, "429");
	/* The program has no time for it: nothing is sent, and nothing counted. */
	snprintf(shell, sizeof shell, "curl -sSL -m 1 $U/redirect/%d/n/2 2>/dev/null", other->http_port);
	o = run(&s, shell);
	assert_int_equal(o.exit_status, 28);
	assert_true(o.seconds < 1);
	outcome_free(&o);
	assert_int_equal(quotad_count(other).requests, 1);
	assert_int_equal(counts_of(s.scene, host_port_of(host_port, "127.0.0.1", other->http_port)).admitted, 1);
	/* It has. */
	snprintf(shell, sizeof shell, "curl -sSL $U/redirect/%d/n/3", other->http_port);
	expect(&s, shell, 0, "3\n");
	assert_int_equal(quotad_count(other).in_hold, 0);
	assert_int_equal(quotad_count(other).requests, 2);
	assert_int_equal(counts_of(s.scene, host_port).succeeded, 1);
	assert_true(longest_latency_s(&s, host_port) < 0.5); /* the wait is nobody's */
	assert_int_equal(counts_of(s.scene, s.host_port).succeeded, 2);
	stage_close(&s);
}

static void a_redirect_to_a_host_with_an_open_breaker_is_refused(void **state)
{
	struct stage s;
	struct outcome o;
	char host_port[64];

	stage_open(&s, state, NULL);
	scene_configure(s.scene, RULES_FOR_THIS_MACHINE);
	for (int i = 0; i < 5; i++)
		expect(&s, "curl -s http://127.0.0.1:$CLOSED/", 7, "");
	o = run(&s, "WEIR_LOG=info curl -sSL $U/redirect/$CLOSED/n/8");
	assert_int_equal(o.exit_status, 7);
	assert_non_null(strstr(o.err, "redirect refused"));
	outcome_free(&o);
	assert_int_equal(counts_of(s.scene, s.host_port).succeeded, 1);
	assert_int_equal(counts_of(s.scene, host_port_of(host_port, "127.0.0.1", s.closed)).failed, 5);
	stage_close(&s);
}

static void a_redirect_on_one_host_is_two_requests_there(void **state)
{
	struct stage s;
	struct host_counts n;

	stage_open(&s, state, NULL);
	expect(&s, "curl -sSL $U/redirect/$PORT/redirect/$PORT/n/8", 0, "8\n");
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.admitted, 3);
	assert_int_equal(n.succeeded, 3);
	stage_close(&s);
}

static void a_redirect_takes_its_unit_in_the_queue_of_the_host_it_leads_to(void **state)
{
	struct stage s;
	struct host_counts n;
	struct quotad *other;
	struct outcome o;
	char shell[300], rules[200], host_port[64];

	stage_open(&s, state, NULL);
	other = quotad_start(s.scene->dir, NULL);
	host_port_of(host_port, "127.0.0.1", other->http_port);
	snprintf(rules, sizeof rules,
		 "hosts = ( { match = \"%s\"; rate = { strategy = \"fixed\"; max = \"4/s\"; burst = 1; }; } );\n", host_port);
	scene_configure(s.scene, rules);
	snprintf(shell, sizeof shell, "for i in 1 2 3 4 5 6; do curl -sSL -o /dev/null $U/redirect/%d/n/$i & done; wait",
		 other->http_port);
	o = run(&s, shell);
	assert_string_equal(o.err, "");
	assert_in_range((uintmax_t)(o.seconds * 1000), 1250, 1250 + 3000);
	outcome_free(&o);
	n = counts_of(s.scene, host_port);
	assert_int_equal(n.admitted, 6);
	assert_true(n.delayed >= 4); /* those who came while no unit was there */
	assert_int_equal(n.permits, 0);
	assert_int_equal(quotad_count(other).requests, 6);
	stage_close(&s);
}

static void hops_on_one_host_are_as_far_apart_as_requests(void **state)
{
	struct stage s;
	struct outcome o;

	stage_open(&s, state, NULL);
	scene_configure(s.scene,
			"hosts = ( { match = \"127.0.0.1\"; rate = { strategy = \"fixed\"; max = \"4/s\"; burst = 1; }; } );\n");
	o = run(&s, "curl -sSL $U/redirect/$PORT/redirect/$PORT/redirect/$PORT/n/8");
	assert_string_equal(o.out, "8\n");
	assert_in_range((uintmax_t)(o.seconds * 1000), 750, 750 + 2000);
	outcome_free(&o);
	assert_int_equal(counts_of(s.scene, s.host_port).admitted, 4);
	assert_int_equal(counts_of(s.scene, s.host_port).delayed, 3);
	stage_close(&s);
}

static void a_refusal_is_told_as_libcurl_tells_a_refused_connect(void **state)
{
	struct stage s;
	struct outcome o;

	stage_open(&s, state, NULL);
	scene_configure(s.scene, RULES_FOR_THIS_MACHINE);
	for (int i = 0; i < 5; i++)
		expect(&s, "curl -s http://127.0.0.1:$CLOSED/", 7, "");
	/* By CURLINFO_OS_ERRNO: after a good transfer on the same handle as well. */
	o = run(&s, "curl -sS --retry 1 --retry-delay 1 --retry-connrefused $U/n/1 http://127.0.0.1:$CLOSED/");
	assert_int_equal(o.exit_status, 7);
	assert_string_equal(o.out, "1\n");
	assert_in_range((uintmax_t)(o.seconds * 1000), 1000, 1000 + 3000);
	outcome_free(&o);
	expect(&s, "curl -s -w '%{errormsg}' --retry 0 http://127.0.0.1:$CLOSED/ | cut -c 1-16", 0, "weir: 127.0.0.1:\n");
	/* What is wrong with the transfer itself is told as ever. */
	expect(&s, "curl -s --interface 192.0.2.77 http://127.0.0.1:$CLOSED/", 45, "");
	expect(&s, "curl -s -x http://no.such.proxy.invalid:1 http://127.0.0.1:$CLOSED/", 5, "");
	stage_close(&s);
}

static void a_target_behind_a_dead_proxy_is_not_blamed(void **state)
{
	struct stage s;
	struct host_counts n;
	int fd, behind = closed_port(&fd);
	char shell[100];

	stage_open(&s, state, NULL);
	scene_configure(s.scene, RULES_FOR_THIS_MACHINE);
	snprintf(shell, sizeof shell, "curl -s -p -x $U http://127.0.0.1:%d/n/1", behind);
	for (int i = 0; i < 3; i++) {
		expect(&s, "curl -s -x http://127.0.0.1:$CLOSED $U/n/1", 7, "");
		expect(&s, "http_proxy=http://127.0.0.1:$CLOSED curl -s $U/n/1", 7, "");
		expect(&s, "curl -s -x socks5://127.0.0.1:$CLOSED $U/n/1", 7, "");
		expect(&s, shell, 56, "");
	}
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.failed, 0);
	assert_int_equal(n.ignored, 9);
	n = counts_of(s.scene, host_port_of((char[64]){0}, "127.0.0.1", behind));
	assert_int_equal(n.failed, 0);
	assert_int_equal(n.ignored, 3);
	expect(&s, "curl -s $U/n/1", 0, "1\n");
	close(fd);
	stage_close(&s);
}

static void a_redirect_to_a_dead_host_is_that_host_s_failure(void **state)
{
	struct stage s;
	struct host_counts n;
	char host_port[64];

	stage_open(&s, state, NULL);
	expect(&s, "curl -sSL $U/redirect/$CLOSED/n/8 2>/dev/null", 7, "");
	assert_int_equal(counts_of(s.scene, s.host_port).succeeded, 1);
	assert_int_equal(counts_of(s.scene, s.host_port).failed, 0);
	n = counts_of(s.scene, host_port_of(host_port, "127.0.0.1", s.closed));
	assert_int_equal(n.failed, 1);
	stage_close(&s);
}

static void a_retry_after_holds_the_next_process_back(void **state)
{
	static const char *const options[] = {"--throttle-next", "1", "--dialect", "retry-after", "--retry-after", "1", NULL};
	struct stage s;
	struct outcome o;

	stage_open(&s, state, options);
	expect(&s, "curl -sS -o /dev/null -w '%{http_code}' $U/n/1", 0, "429");
	o = run(&s, "curl -sS $U/n/2");
	assert_string_equal(o.out, "2\n");
	assert_true(o.seconds > 0.7);
	outcome_free(&o);
	assert_int_equal(quotad_count(s.server).in_hold, 0);
	assert_int_equal(counts_of(s.scene, s.host_port).delayed, 1);
	stage_close(&s);
}

static void a_wait_beyond_the_program_s_time_out_is_refused_at_once(void **state)
{
	static const char *const options[] = {"--throttle-next", "1", "--dialect", "retry-after", "--retry-after", "20", NULL};
	struct stage s;
	struct outcome o;

	stage_open(&s, state, options);
	expect(&s, "curl -sS -o /dev/null -w '%{http_code}' $U/n/1", 0, "429");
	o = run(&s, "curl -sS -m 3 $U/n/2");
	assert_int_equal(o.exit_status, 28);
	assert_non_null(strstr(o.err, "weir: 127.0.0.1:"));
	assert_true(o.seconds < 1 + SLACK_S);
	outcome_free(&o);
	o = run(&s, "curl -sS --connect-timeout 3 $U/n/3");
	assert_int_equal(o.exit_status, 28);
	assert_true(o.seconds < 1 + SLACK_S);
	outcome_free(&o);
	assert_int_equal(quotad_count(s.server).requests, 1);
	stage_close(&s);
}

static void the_wait_is_taken_off_the_program_s_time_out(void **state)
{
	static const char *const options[] = {"--throttle-next", "1", "--dialect", "retry-after", "--retry-after", "1", NULL};
	struct stage s;
	struct outcome o;

	stage_open(&s, state, options);
	expect(&s, "curl -sS -o /dev/null -w '%{http_code}' $U/n/1", 0, "429");
	o = run(&s, "curl -sS -m 2 $U/delay/5000");
	assert_int_equal(o.exit_status, 28);
	assert_in_range((uintmax_t)(o.seconds * 1000), 1800, 2000 + (uintmax_t)(SLACK_S * 1000));
	outcome_free(&o);
	stage_close(&s);
}

static void a_dead_host_is_refused_with_exit_7_and_a_text_that_says_why(void **state)
{
	struct stage s;
	struct outcome o;
	char host[64];

	stage_open(&s, state, NULL);
	scene_configure(s.scene, RULES_FOR_THIS_MACHINE);
	for (int i = 0; i < 5; i++)
		expect(&s, "curl -s http://127.0.0.1:$CLOSED/", 7, "");
	o = run(&s, "curl -sS http://127.0.0.1:$CLOSED/");
	assert_int_equal(o.exit_status, 7);
	snprintf(host, sizeof host, "weir: 127.0.0.1:%d: ", s.closed);
	assert_non_null(strstr(o.err, host));
	assert_non_null(strstr(o.err, "breaker"));
	outcome_free(&o);
	snprintf(host, sizeof host, "127.0.0.1:%d", s.closed);
	assert_int_equal(counts_of(s.scene, host).refused, 1);
	assert_int_equal(counts_of(s.scene, host).failed, 5);
	stage_close(&s);
}

static void the_breaker_is_blind_to_what_the_program_does_to_itself(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	for (int i = 0; i < 8; i++)
		expect(&s, "curl -sS -o /no/such/directory/out $U/n/1 2>/dev/null", 23, "");
	expect(&s, "curl -sS $U/n/1", 0, "1\n");
	assert_int_equal(counts_of(s.scene, s.host_port).refused, 0);
	stage_close(&s);
}

static void a_dry_run_counts_and_does_not_refuse(void **state)
{
	struct stage s;
	char host[64];

	stage_open(&s, state, NULL);
	for (int i = 0; i < 8; i++)
		expect(&s, "WEIR_DRY_RUN=1 curl -sS http://127.0.0.1:$CLOSED/ 2>&1 | grep -c weir", 1, "0\n");
	snprintf(host, sizeof host, "127.0.0.1:%d", s.closed);
	assert_int_equal(counts_of(s.scene, host).failed, 8);
	stage_close(&s);
}

static void a_disabled_weir_makes_no_file(void **state)
{
	struct stage s;
	char *segment;

	stage_open(&s, state, NULL);
	expect(&s, "WEIR_DISABLE=1 curl -sS $U/n/1", 0, "1\n");
	segment = path_in(s.scene->runtime, "state.1");
	assert_int_not_equal(access(segment, F_OK), 0);
	free(segment);
	stage_close(&s);
}

static void unix_sockets_and_other_schemes_are_no_requests(void **state)
{
	struct stage s;
	char *segment;

	stage_open(&s, state, NULL);
	expect(&s, "curl -s --unix-socket $D/nobody http://127.0.0.1/; curl -s file:///no/such/file; curl -s foo://x/", 1, "");
	segment = path_in(s.scene->runtime, "state.1");
	assert_int_not_equal(access(segment, F_OK), 0);
	free(segment);
	stage_close(&s);
}

static void an_ftp_transfer_is_limited_by_its_connections(void **state)
{
	struct stage s;
	char host[64];

	stage_open(&s, state, NULL);
	expect(&s, "curl -s ftp://127.0.0.1:$CLOSED/", 7, "");
	assert_int_equal(counts_of(s.scene, host_port_of(host, "127.0.0.1", s.closed)).failed, 1);
	stage_close(&s);
}

static void each_of_parallel_transfers_is_a_request(void **state)
{
	struct stage s;
	struct host_counts n;

	stage_open(&s, state, NULL);
	expect(&s, "curl -sSZ -o $D/a $U/n/1 -o $D/b $U/n/2 && cat $D/a $D/b", 0, "1\n2\n");
	n = counts_of(s.scene, s.host_port);
	assert_int_equal(n.admitted, 2);
	assert_int_equal(n.succeeded, 2);
	stage_close(&s);
}

static void the_hosts_of_a_run_can_be_chosen(void **state)
{
	struct stage s;

	stage_open(&s, state, NULL);
	expect(&s, "WEIR_HOSTS='*.example.org' curl -sS $U/n/1", 0, "1\n");
	assert_false(counts_of(s.scene, s.host_port).known);
	expect(&s, "WEIR_HOSTS='127.*' curl -sS $U/n/1", 0, "1\n");
	assert_int_equal(counts_of(s.scene, s.host_port).admitted, 1);
	stage_close(&s);
}

#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown_with_agents)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(every_command_line_of_curl_does_what_it_does_without_weir),
		SCENE(each_transfer_is_one_request_however_many_connections_it_takes),
		SCENE(answers_are_told_apart),
		SCENE(the_hops_of_a_redirect_count_for_the_hosts_that_answered),
		SCENE(a_redirect_waits_for_the_hold_of_the_host_it_leads_to),
		SCENE(a_redirect_to_a_host_with_an_open_breaker_is_refused),
		SCENE(a_redirect_on_one_host_is_two_requests_there),
		SCENE(a_redirect_to_a_dead_host_is_that_host_s_failure),
		SCENE(a_redirect_takes_its_unit_in_the_queue_of_the_host_it_leads_to),
		SCENE(hops_on_one_host_are_as_far_apart_as_requests),
		SCENE(a_refusal_is_told_as_libcurl_tells_a_refused_connect),
		SCENE(a_target_behind_a_dead_proxy_is_not_blamed),
		SCENE(a_retry_after_holds_the_next_process_back),
		SCENE(a_wait_beyond_the_program_s_time_out_is_refused_at_once),
		SCENE(the_wait_is_taken_off_the_program_s_time_out),
		SCENE(a_dead_host_is_refused_with_exit_7_and_a_text_that_says_why),
		SCENE(the_breaker_is_blind_to_what_the_program_does_to_itself),
		SCENE(a_dry_run_counts_and_does_not_refuse),
		SCENE(a_disabled_weir_makes_no_file),
		SCENE(unix_sockets_and_other_schemes_are_no_requests),
		SCENE(an_ftp_transfer_is_limited_by_its_connections),
		SCENE(each_of_parallel_transfers_is_a_request),
		SCENE(the_hosts_of_a_run_can_be_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
