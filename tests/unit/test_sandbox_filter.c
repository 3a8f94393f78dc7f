/* SPDX-License-Identifier: MIT */
/* Seccomp filters, read before the kernel gets them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "weir/kernel.h"
#include "weir/sandbox.h"

#define COUNT(f) (sizeof(f) / sizeof(f)[0])
#define NUMBER   offsetof(struct seccomp_data, nr)
#define FIRST    offsetof(struct seccomp_data, args[0])
#define SECOND   offsetof(struct seccomp_data, args[1])

static uint32_t answer(const struct sock_filter *f, size_t count, int number, uint64_t second)
{
	struct seccomp_data call = {.nr = number, .args = {0, second}};

	return weir_filter_run(f, count, &call);
}

static void filters_answer_as_the_kernel_reads_them(void **state)
{
	/* write: allowed; fcntl: by its second argument; everything else ends the process. */
	const struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 2), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SECOND),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_GETFL, 1, 0),   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_filter sums[] = {
		BPF_STMT(BPF_LD | BPF_IMM, 40),         BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_MEM, 3),         BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 3), BPF_STMT(BPF_RET | BPF_A, 0),
	};

	(void)state;
	assert_int_equal(answer(f, COUNT(f), SYS_write, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(f, COUNT(f), SYS_fcntl, F_GETFL), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(f, COUNT(f), SYS_fcntl, F_DUPFD), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(answer(f, COUNT(f), SYS_read, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(answer(sums, COUNT(sums), 0, 0), 10);
	/* Without an end, or with a look outside of the call: as if it killed. */
	assert_int_equal(answer(sums, COUNT(sums) - 1, 0, 0), SECCOMP_RET_KILL_PROCESS);
	weir_filter_heed(f, COUNT(f));
	assert_true(weir_kernel_allows(SYS_write));
	assert_true(weir_kernel_allows(SYS_fcntl));
	assert_false(weir_kernel_allows(SYS_getpid));
	assert_int_equal(weir_getpid(), -1);
	assert_int_equal(errno, ENOSYS);
	weir_filter_fear();
	assert_false(weir_kernel_allows(SYS_write));
	memset(weir_kernel_forbidden, 0, sizeof weir_kernel_forbidden);
	assert_true(weir_getpid() > 0);
}

/* src/preload/core/readable.c asks it for something that there is not. */
static void a_filter_that_kills_for_an_unknown_change_of_the_mask_is_heeded(void **state)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigprocmask, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST),    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SIG_SETMASK, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};

	(void)state;
	weir_filter_heed(f, COUNT(f));
	assert_true(weir_kernel_allows(SYS_write));
	assert_false(weir_kernel_allows(SYS_rt_sigprocmask));
	memset(weir_kernel_forbidden, 0, sizeof weir_kernel_forbidden);
	f[COUNT(f) - 1].k = SECCOMP_RET_ERRNO | EPERM;
	weir_filter_heed(f, COUNT(f));
	assert_true(weir_kernel_allows(SYS_rt_sigprocmask));
}

/* Filters list the operations of a call as well, and what is new is not among them. */
static void a_filter_that_kills_for_an_operation_is_heeded(void **state)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SECOND),   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAKE_OP_PRIVATE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};

	(void)state;
	weir_filter_heed(f, COUNT(f));
	assert_true(weir_kernel_allows(SYS_futex));
	assert_false(weir_kernel_allows(WEIR_KERNEL_WAKE_OP));
	assert_false(weir_filter_lets_start());
	memset(weir_kernel_forbidden, 0, sizeof weir_kernel_forbidden);
	f[3].k = FUTEX_WAKE_BITSET;
	weir_filter_heed(f, COUNT(f));
	assert_false(weir_kernel_allows(SYS_futex));
	assert_true(weir_kernel_allows(WEIR_KERNEL_WAKE_OP));
	memset(weir_kernel_forbidden, 0, sizeof weir_kernel_forbidden);
	f[1].k = SYS_ioctl;
	f[3].k = FS_IOC_SETFLAGS;
	weir_filter_heed(f, COUNT(f));
	assert_true(weir_kernel_allows(SYS_futex));
	assert_false(weir_kernel_allows(SYS_ioctl));
	memset(weir_kernel_forbidden, 0, sizeof weir_kernel_forbidden);
	assert_true(weir_filter_lets_start());
}

static void no_filter_reads_or_jumps_out_of_bounds(void **state)
{
	struct sock_filter f[64];

	(void)state;
	srandom(7);
	for (int round = 0; round < 200000; round++) {
		unsigned char *bytes = (unsigned char *)f;
		size_t count = (size_t)(random() % 64) + 1;

		for (size_t i = 0; i < count * sizeof f[0]; i++)
			bytes[i] = (unsigned char)(random() % 4 ? random() % 8 : random());
		answer(f, count, (int)(random() % 400), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_answer_as_the_kernel_reads_them),
		cmocka_unit_test(a_filter_that_kills_for_an_unknown_change_of_the_mask_is_heeded),
		cmocka_unit_test(a_filter_that_kills_for_an_operation_is_heeded),
		cmocka_unit_test(no_filter_reads_or_jumps_out_of_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
