/* SPDX-License-Identifier: MIT */
#include "tests/harness/requirement.h"

#include <netdb.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

void require_localhost(void)
{
	struct addrinfo *found;

	if (getaddrinfo("localhost", NULL, NULL, &found) != 0) {
		print_message("skipped: this machine does not know the name localhost\n");
		skip();
	}
	freeaddrinfo(found);
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
