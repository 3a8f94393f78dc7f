/* SPDX-License-Identifier: MIT */
/* Opening files inside somebody else's process. */
#ifndef WEIR_SEGMENT_DESCRIPTOR_H
#define WEIR_SEGMENT_DESCRIPTOR_H

#include <sys/types.h>

/* open(2) with O_CLOEXEC, never as descriptor 0, 1 or 2: a program that closed those expects its own next file there. Returns the
 * descriptor, or -1 and errno. */
int weir_open_high(const char *path, int flags, mode_t mode);

#endif
