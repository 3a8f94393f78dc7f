/* A port of 127.0.0.1 where nobody listens, and nobody else can. */
#ifndef CLOSED_PORT_H
#define CLOSED_PORT_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/harness.h"

/* Returns the port. *fd keeps it: bound, but not listening. To be closed at the end. */
static inline int closed_port(int *fd)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof a;

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(*fd >= 0);
	assert_return_code(bind(*fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_return_code(getsockname(*fd, (struct sockaddr *)&a, &length), 0);
	return ntohs(a.sin_port);
}

/* A refused connect to this very machine opens no breaker unless a rule names the host. This names it. */
#define RULES_FOR_THIS_MACHINE "hosts = ( { match = \"127.0.0.1\"; }, { match = \"localhost\"; }, { match = \"both.test\"; } );\n"

#endif
