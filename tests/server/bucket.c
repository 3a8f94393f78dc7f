#include "tests/server/bucket.h"

#include <math.h>

#include "tests/server/clock.h"

/* Sums of products of doubles may end a hair below a whole token. */
#define TOKEN_EPSILON 1e-9

void bucket_fill(struct bucket *b, const struct bucket_settings *s, int64_t now_ns)
{
	b->tokens = s->burst;
	b->filled_ns = now_ns;
}

void bucket_refill(struct bucket *b, const struct bucket_settings *s, int64_t now_ns)
{
	b->tokens = fmin(s->burst, b->tokens + ns_to_s(now_ns - b->filled_ns) * s->rate_per_s);
	b->filled_ns = now_ns;
}

static int64_t until_ns(const struct bucket *b, const struct bucket_settings *s, double tokens)
{
	double missing = tokens - b->tokens;

	if (missing <= TOKEN_EPSILON)
		return 0;
	return (int64_t)ceil(missing / s->rate_per_s * (double)NS_PER_S);
}

int64_t bucket_wait_ns(const struct bucket *b, const struct bucket_settings *s)
{
	return until_ns(b, s, 1);
}

void bucket_take(struct bucket *b)
{
	b->tokens -= 1;
}

struct quota_view bucket_view(const struct bucket *b, const struct bucket_settings *s)
{
	int64_t remaining = b->tokens + TOKEN_EPSILON < 1 ? 0 : (int64_t)(b->tokens + TOKEN_EPSILON);

	return (struct quota_view){
		.known = true,
		.limit = (int64_t)s->burst,
		.remaining = remaining,
		.window_ns = (int64_t)(s->burst / s->rate_per_s * (double)NS_PER_S),
		.reset_ns = until_ns(b, s, remaining == 0 ? 1 : s->burst),
	};
}
