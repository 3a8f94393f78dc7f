/* Waiting for what can be waited for, with a bound. */
#ifndef HARNESS_WAIT_H
#define HARNESS_WAIT_H

#include <stdbool.h>

/* Seconds on CLOCK_MONOTONIC, the clock of quotad's journal too. */
double monotonic_s(void);

/* Asks `holds(data)` every other millisecond until it says true, for `seconds` at most. Returns its
 * last answer. */
bool wait_until(bool (*holds)(void *data), void *data, double seconds);

/* The same, and fails the test with `what` when the time is over. */
void assert_soon(bool (*holds)(void *data), void *data, double seconds, const char *what);

/* Waits until a process is gone or a zombie, for `seconds` at most. */
bool wait_for_exit(int pid, double seconds);

#endif
