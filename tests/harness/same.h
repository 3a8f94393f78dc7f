/* The promise of transparency, as an assertion. */
#ifndef HARNESS_SAME_H
#define HARNESS_SAME_H

#include "tests/harness/command.h"

enum same {
	SAME_OUTPUT,            /* stdout and exit status, or signal */
	SAME_OUTPUT_AND_ERRORS, /* stderr as well */
};

/* Runs a command bare and then under weir (its `mode` is ignored), and fails the test with both
 * outcomes unless they are the same. Under weir, too, nobody may keep its output open. `before`, when
 * not NULL, is called ahead of each run: to reset the server, say. */
#define assert_same_with_and_without_weir(command, what)                                                                         \
	same_with_and_without_weir((command), (what), NULL, NULL, __FILE__, __LINE__)
#define assert_same_with_and_without_weir_after(command, what, before, data)                                                     \
	same_with_and_without_weir((command), (what), (before), (data), __FILE__, __LINE__)

void same_with_and_without_weir(const struct command *c, enum same what, void (*before)(void *data), void *data, const char *file,
				int line);

#endif
