/* SPDX-License-Identifier: MIT */
#include "tests/harness/requirement.h"

#include <netdb.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/command.h"

void require_localhost(void)
{
	struct addrinfo *found = NULL;
	bool good = getaddrinfo("localhost", NULL, NULL, &found) == 0;

	for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
		good = good && a->ai_family == AF_INET;
	if (found != NULL)
		freeaddrinfo(found);
	if (!good) {
		print_message("skipped: localhost is not 127.0.0.1 alone on this machine\n");
		skip();
	}
}

void require_terminals(void)
{
	int ours, theirs;

	if (openpty(&ours, &theirs, NULL, NULL, NULL) != 0) {
		print_message("skipped: this machine has no pseudo-terminals\n");
		skip();
	}
	close(ours);
	close(theirs);
}

void require_namespaces(void)
{
	const char *const argv[] = {
		"unshare", "-rm", "sh", "-c", "mount -t tmpfs none /dev/shm && unshare -U --map-user=1234 true", NULL};
	const struct command c = {.argv = argv};
	struct outcome o = command_run(&c);
	bool good = o.exit_status == 0;

	if (!good)
		print_message("skipped: no namespaces of one's own here: %s", o.err);
	outcome_free(&o);
	if (!good)
		skip();
}
