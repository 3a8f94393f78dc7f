/* SPDX-License-Identifier: MIT */
/* For the tests of alerts: a configuration whose alerts are quick, requests that end as wanted, waiting for what weir says. */
#ifndef ALERTS_STAGE_H
#define ALERTS_STAGE_H

#include "weir_program.h"

#define HOST "a.example.org:443"

/* Quick ones, of failures alone; the breaker stays out of it. */
/* Of failures alone; whoever waits for the end of an alert changes to the short window when it fires, so that a test which is
 * stopped for a while finds what it expects. */
#define LONG_WINDOW  "error_rate = \"10%\"; min_samples = 5; window = \"1h\"; for = \"0s\"; command_time = \"2m\";"
#define SHORT_WINDOW "error_rate = \"10%\"; min_samples = 5; window = \"1s\"; for = \"0s\"; command_time = \"2m\";"

/* Puts `alerts` in force, with the command; the breaker stays out of it. */
static inline void configure(struct scene *scene, const char *command, const char *alerts)
{
	char text[2048];
	snprintf(text, sizeof text,
		 "defaults = { breaker = false; rate = false; concurrency = false; };\nalerts = { %s command = \"%s\"; };\n",
		 alerts, command);
	scene_configure(scene, text);
	/* An agent that watches from now on: what was counted before its first look is in no window. */
	free(WEIR_EXPECT(scene, 0, "alert", "list"));
}

/* `n` requests that end so. */
static inline void ask(struct scene *scene, const char *host, enum weir_outcome outcome, unsigned n)
{
	struct weir_segment s = scene_segment(scene);
	struct weir_gate g = {.segment = &s};
	struct weir_wish wish = {.host_port = host};
	weir_owner_self(&g.owner);
	for (unsigned i = 0; i < n; i++) {
		struct weir_request r;
		uint64_t wake;
		struct weir_result result = {.outcome = outcome,
					     .latency_ns = 50000000,
					     .status = outcome == WEIR_FAILED      ? 500
						       : outcome == WEIR_THROTTLED ? 429
										   : 200};
		assert_int_equal(weir_gate_begin(&g, &r, &wish, weir_now_ns(), &wake), WEIR_GO);
		weir_gate_settle(&g, &r, &result, weir_now_ns());
	}
	weir_segment_close(&s);
}

struct question {
	struct scene *scene;
	const char *const *arguments;
	const char *text;
};

static inline bool is_told(void *data)
{
	struct question *q = data;
	struct outcome o = command_run(weir_line(q->scene, q->arguments));
	bool there = strstr(o.out, q->text) != NULL;
	outcome_free(&o);
	return there;
}

/* Waits until `weir ARGUMENTS` says the text. */
#define EXPECT_SOON(scene_, text_, ...)                                                                                          \
	do {                                                                                                                     \
		struct question q_ = {(scene_), (const char *const[]){__VA_ARGS__, NULL}, (text_)};                              \
		assert_soon(is_told, &q_, 30, (text_));                                                                          \
	} while (0)

#endif
