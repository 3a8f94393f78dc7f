#include "tests/server/fixed_window.h"

void fixed_window_start(struct fixed_window *w, const struct fixed_window_settings *s, int64_t now_ns, int64_t wall_now_ns)
{
	w->used = 0;
	w->start_ns = now_ns;
	if (s->wall_aligned) {
		int64_t into_ns = (wall_now_ns - s->phase_ns) % s->period_ns;

		w->start_ns -= into_ns < 0 ? into_ns + s->period_ns : into_ns;
	}
}

void fixed_window_advance(struct fixed_window *w, const struct fixed_window_settings *s, int64_t now_ns)
{
	int64_t windows = (now_ns - w->start_ns) / s->period_ns;

	if (windows > 0) {
		w->start_ns += windows * s->period_ns;
		w->used = 0;
	}
}

int64_t fixed_window_wait_ns(const struct fixed_window *w, const struct fixed_window_settings *s, int64_t now_ns)
{
	return w->used < s->limit ? 0 : w->start_ns + s->period_ns - now_ns;
}

void fixed_window_take(struct fixed_window *w)
{
	w->used++;
}

struct quota_view fixed_window_view(const struct fixed_window *w, const struct fixed_window_settings *s, int64_t now_ns)
{
	return (struct quota_view){
		.known = true,
		.limit = s->limit,
		.remaining = w->used < s->limit ? s->limit - w->used : 0,
		.window_ns = s->period_ns,
		.reset_ns = w->start_ns + s->period_ns - now_ns,
	};
}
