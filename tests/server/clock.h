/* The two clocks of quotad, and nothing else about time. */
#ifndef QUOTAD_CLOCK_H
#define QUOTAD_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* CLOCK_MONOTONIC in ns: the clock of every limit, hold and journal line. Tests on the same
 * machine read the same clock, so they may compare it with their own. */
static inline int64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* Unix time in ns: for dates, epochs and windows aligned to the wall clock only. */
static inline int64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static inline double ns_to_s(int64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

/* Whole units that cover `ns` (rounded up): what a server must announce so that a client which
 * obeys to the letter is not rejected again. */
static inline int64_t ns_to_units_up(int64_t ns, int64_t unit_ns)
{
	return ns <= 0 ? 0 : (ns + unit_ns - 1) / unit_ns;
}

#endif
