/* SPDX-License-Identifier: MIT */
/* What sendto and sendmsg do with MSG_FASTOPEN: a connect, first of all. */
#ifndef WEIR_FAST_OPEN_H
#define WEIR_FAST_OPEN_H

#include <stdint.h>
#include <sys/socket.h>

enum weir_fast_open {
	WEIR_FAST_AS_IT_IS,   /* the call is none of ours */
	WEIR_FAST_CONNECTED,  /* it goes on as one without an address */
	WEIR_FAST_FAILED = -1 /* it answers -1; errno is set, as connect's */
};

/* The hook at `frame`, called by the code at `caller`, is to send on fd and to connect it for that. May wait, as connect. */
int weir_fast_open(uintptr_t frame, const void *caller, int fd, const struct sockaddr *address, socklen_t length);

#endif
