/* Failing a test from inside the harness. Not for tests: they have cmocka's own macros. */
#ifndef HARNESS_FAILURE_H
#define HARNESS_FAILURE_H

/* Prints the message and fails the running test, as fail_msg does, at the caller's line. */
#define harness_fail(...) harness_fail_at(__FILE__, __LINE__, __VA_ARGS__)

__attribute__((noreturn, format(printf, 3, 4))) void harness_fail_at(const char *file, int line, const char *format, ...);

#endif
