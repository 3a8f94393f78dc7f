/* SPDX-License-Identifier: MIT */
/*
 * A host with several addresses is one host. Where a connect fails and other addresses of the name are left, the program's next
 * connect belongs to the same attempt: it goes on the unit of the first one. It must follow within a second, on the same thread
 * and to the same host.
 */
#ifndef WEIR_PAID_H
#define WEIR_PAID_H

#include <stdbool.h>
#include <stdint.h>

/* What stands for a "host:port" here. */
uint64_t weir_paid_host(const char *host_port);

/* The unit of an attempt at this host is left over. `address` stands for the address that was tried, 0 = none. */
void weir_paid_leave(uint64_t host, uint64_t address);

/* Whether the last unit that this thread has left over was left by this very address and nothing went on it: the program tries
 * the address again, and no other one. */
bool weir_paid_left_by(uint64_t address);

/* Takes it, if there is one. */
bool weir_paid_take(uint64_t host);

#endif
