/* SPDX-License-Identifier: MIT */
/*
 * Whether a pointer that the program hands to a system call leads anywhere. Bare, the kernel judges it, and the call fails with
 * EFAULT; what a hook reads before the kernel has been asked would kill the program instead.
 *
 * A system call for each page, a tenth of a microsecond: to be asked where bytes are about to be looked at, and nowhere else.
 * After a call that has succeeded the kernel has read them already.
 */
#ifndef WEIR_READABLE_H
#define WEIR_READABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* All of them. No bytes always are; where the question is forbidden (weir/sandbox.h) they are taken for readable. Keeps errno. */
bool weir_readable(const void *at, size_t bytes);

/* The text up to its NUL, which is among `most` bytes. */
bool weir_readable_text(const char *text, size_t most);

/* What the parts lead to, `most` bytes of it. The array itself must be. */
bool weir_readable_parts(const struct iovec *iov, size_t parts, size_t most);

#endif
