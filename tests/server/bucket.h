/* A token bucket: starts full, refills continuously, one token a request. */
#ifndef QUOTAD_BUCKET_H
#define QUOTAD_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/server/quota_view.h"

struct bucket_settings {
	bool on;
	double rate_per_s;
	double burst; /* capacity in tokens, >= 1 */
};

struct bucket {
	double tokens;
	int64_t filled_ns; /* `tokens` was true at this time */
};

/* Full, as on the first day. */
void bucket_fill(struct bucket *b, const struct bucket_settings *s, int64_t now_ns);

/* Brings `tokens` up to date. To be called before the settings change and before each look. */
void bucket_refill(struct bucket *b, const struct bucket_settings *s, int64_t now_ns);

/* Time until a request would be accepted; 0 = now. After bucket_refill. */
int64_t bucket_wait_ns(const struct bucket *b, const struct bucket_settings *s);

/* Takes one token. Only when bucket_wait_ns is 0. */
void bucket_take(struct bucket *b);

/* What the bucket would tell a client about itself. */
struct quota_view bucket_view(const struct bucket *b, const struct bucket_settings *s);

#endif
