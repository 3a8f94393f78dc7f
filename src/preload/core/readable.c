/* SPDX-License-Identifier: MIT */
#include "src/preload/core/readable.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "weir/kernel.h"

#define PAGE_BYTES 4096 /* or more */
#define WORD_BYTES sizeof(uint64_t)

/* The kernel reads the set before it finds that there is no such way to change the signal mask. process_vm_readv was rejected: of
 * system calls for debuggers nobody's filter lets them pass, and one that this process was started with is not known. */
static bool word_is_readable(uintptr_t at)
{
	int saved = errno;
	bool readable;

	at -= at % WORD_BYTES;
	readable = at != 0 && (weir_syscall(SYS_rt_sigprocmask, -1, at, NULL, WORD_BYTES) == 0 || errno != EFAULT);
	errno = saved;
	return readable;
}

bool weir_readable(const void *from, size_t bytes)
{
	uintptr_t at = (uintptr_t)from, last = at + bytes - 1;

	if (bytes == 0)
		return true;
	if (last < at || !word_is_readable(at))
		return false;
	for (at = at / PAGE_BYTES * PAGE_BYTES; last - at >= PAGE_BYTES;) {
		at += PAGE_BYTES;
		if (!word_is_readable(at))
			return false;
	}
	return true;
}

bool weir_readable_text(const char *text, size_t most)
{
	for (size_t n = 0; n < most;) {
		size_t rest = PAGE_BYTES - (uintptr_t)(text + n) % PAGE_BYTES;

		if (!word_is_readable((uintptr_t)(text + n)))
			return false;
		if (memchr(text + n, '\0', rest < most - n ? rest : most - n))
			return true;
		n += rest;
	}
	return false;
}

bool weir_readable_parts(const struct iovec *iov, size_t parts, size_t most)
{
	for (size_t i = 0; i < parts && most > 0; i++) {
		size_t some = iov[i].iov_len < most ? iov[i].iov_len : most;

		if (!weir_readable(iov[i].iov_base, some))
			return false;
		most -= some;
	}
	return true;
}
