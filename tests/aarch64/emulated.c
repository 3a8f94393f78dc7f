/* SPDX-License-Identifier: MIT */
/* Linked into the unit tests that scripts/aarch64 runs (--wrap): qemu's user emulation hangs with threads and after a fork, here
 * at least (7.2 on Linux 6.18), whatever the program. A test that begins one is skipped from there on. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

pid_t __wrap_fork(void);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *data);

pid_t __wrap_fork(void)
{
	skip();
	return -1;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *data)
{
	(void)thread;
	(void)attributes;
	(void)run;
	(void)data;
	skip();
	return -1;
}
