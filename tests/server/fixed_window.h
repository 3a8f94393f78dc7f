/* A fixed window: N requests per period, all of them back at its edge. */
#ifndef QUOTAD_FIXED_WINDOW_H
#define QUOTAD_FIXED_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/server/quota_view.h"

struct fixed_window_settings {
	bool on;
	int64_t limit;
	int64_t period_ns;
	bool wall_aligned; /* edges at multiples of the period of Unix time, plus `phase_ns` */
	int64_t phase_ns;
};

struct fixed_window {
	int64_t start_ns; /* monotonic */
	int64_t used;
};

/* Starts a window: now, or, when aligned to the wall clock, at its last edge. */
void fixed_window_start(struct fixed_window *w, const struct fixed_window_settings *s, int64_t now_ns, int64_t wall_now_ns);

/* Moves on to the window of `now_ns`. To be called before each look. */
void fixed_window_advance(struct fixed_window *w, const struct fixed_window_settings *s, int64_t now_ns);

/* Time until a request would be accepted; 0 = now. After fixed_window_advance. */
int64_t fixed_window_wait_ns(const struct fixed_window *w, const struct fixed_window_settings *s, int64_t now_ns);

/* Uses one request of the window. Only when fixed_window_wait_ns is 0. */
void fixed_window_take(struct fixed_window *w);

/* What the window would tell a client about itself. */
struct quota_view fixed_window_view(const struct fixed_window *w, const struct fixed_window_settings *s, int64_t now_ns);

#endif
