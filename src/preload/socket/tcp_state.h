/* SPDX-License-Identifier: MIT */
/* What the kernel knows of a TCP socket, asked without touching it. (SO_ERROR would take the error away from the program.) */
#ifndef WEIR_TCP_STATE_H
#define WEIR_TCP_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/preload/name/table.h"

enum weir_tcp_state {
	WEIR_TCP_NONE,       /* no TCP socket */
	WEIR_TCP_FRESH,      /* not connected and never was */
	WEIR_TCP_CONNECTING, /* the handshake is under way */
	WEIR_TCP_CONNECTED,  /* the handshake is done, whatever has become of the connection since */
	WEIR_TCP_FAILED,     /* a handshake began and failed */
	WEIR_TCP_LISTENING,
};

enum weir_tcp_state weir_tcp_state(int fd);

/* A number that no other socket has or will have: SO_COOKIE, or the inode before Linux 4.12. 0 = not a socket. */
uint64_t weir_socket_identity(int fd);

/* How long the handshake on a connected socket took, as the kernel knows it, when it was begun elapsed_ns ago: its round-trip
 * time, or, when a SYN was lost, the time until the other side was heard last. 0 = not known. */
uint64_t weir_tcp_handshake_ns(int fd, uint64_t elapsed_ns);

/* How long a program means to wait in a blocking call: the socket's send time-out, or an alarm that it has set. A repeating alarm
 * is a clock, not a time-out. 0 = as long as it takes. */
uint64_t weir_socket_patience_ns(int fd);

/* Whether the address is this very machine's: loopback, unspecified, or one of its own interfaces'. The last costs three system
 * calls, for a socket that is bound and closed again: to be asked of an address that has just refused a connection. */
bool weir_address_is_here(struct weir_address address);

/* As fcntl(F_GETFL) tells. errno stays. */
int weir_flags_of(int fd);

#endif
