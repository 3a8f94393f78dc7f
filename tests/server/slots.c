#include "tests/server/slots.h"

#include <string.h>

void slots_clear(struct slots *slots)
{
	memset(slots, 0, sizeof *slots);
}

static size_t first_free(const struct slots *slots, const struct slots_settings *s)
{
	size_t best = 0;

	for (size_t i = 1; i < (size_t)s->count; i++) {
		if (slots->free_ns[i] < slots->free_ns[best])
			best = i;
	}
	return best;
}

int64_t slots_wait_ns(const struct slots *slots, const struct slots_settings *s, int64_t now_ns)
{
	int64_t free_ns;

	if (s->count == 0)
		return 0;
	free_ns = slots->free_ns[first_free(slots, s)];
	return free_ns <= now_ns ? 0 : free_ns - now_ns;
}

int64_t slots_take(struct slots *slots, const struct slots_settings *s, struct random *random, int64_t now_ns)
{
	int64_t service_ns = s->service_ns;
	int64_t *free_ns;

	if (s->exponential)
		service_ns = (int64_t)random_exponential(random, (double)service_ns);
	if (s->count == 0)
		return now_ns + service_ns;
	free_ns = &slots->free_ns[first_free(slots, s)];
	*free_ns = (*free_ns > now_ns ? *free_ns : now_ns) + service_ns;
	return *free_ns;
}
