/* SPDX-License-Identifier: MIT */
/*
 * What is known without asking the kernel. A request that begins asks two things of it: whether the bytes can be read at all, and
 * whether the descriptor is still the connection that it was. A system call may take as long as all the rest of a request.
 *
 * The first is always asked: a program may have unmapped what it sends again, and must get its EFAULT. Where the head that is
 * kept is sent again from where it was sent last (same_head.h), the second is not asked before it. The descriptor's number may
 * have been closed unseen, and be something else by now. What is sent there then is no request, which shows when no answer comes:
 * the kernel is asked at the end of file, at an error, at what is no answer, and when the number is closed or becomes something
 * else. Until it is answered the request is tentative: it can still leave as if it had never come. A request that has taken a
 * unit, waits or is refused cannot, and is proved at once.
 */
#ifndef WEIR_PROOF_H
#define WEIR_PROOF_H

#include <stdbool.h>
#include <sys/uio.h>

#include "src/preload/socket/record.h"

/* Whether fd need not be asked for before what is to be sent. */
bool weir_proof_can_wait(const struct weir_record *r, const struct iovec *iov, size_t parts);

/* Whether fd is still r's connection, which is asked where it is not known yet. Where it is not, the request that was begun
 * without was none. */
bool weir_proof_holds(const struct weir_gate *g, struct weir_record *r, int fd);

#endif
