/* SPDX-License-Identifier: MIT */
/* Classic BPF as seccomp takes it: kernel/seccomp.c, seccomp_check_filter(). */
#include "weir/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "weir/kernel.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

/* Looked at in every process that is started: where the dynamic linker has touched the page already (src/preload/core/hook.h). */
__attribute__((section(".data.early"))) _Atomic uint64_t weir_kernel_forbidden[WEIR_KERNEL_CALLS / 64];

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
};

static uint32_t load(const struct machine *m, const struct sock_filter *i, const struct seccomp_data *call, bool *good)
{
	uint32_t word = 0;

	switch (BPF_MODE(i->code)) {
	case BPF_IMM:
		return i->k;
	case BPF_LEN:
		return sizeof *call;
	case BPF_MEM:
		*good = i->k < BPF_MEMWORDS;
		return *good ? m->memory[i->k] : 0;
	case BPF_ABS:
		*good = i->k % sizeof word == 0 && i->k <= sizeof *call - sizeof word;
		if (*good)
			memcpy(&word, (const char *)call + i->k, sizeof word);
		return word;
	default:
		*good = false;
		return 0;
	}
}

static uint32_t compute(uint32_t a, uint32_t b, uint16_t code, bool *good)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	case BPF_NEG:
		return 0U - a;
	default:
		*good = false;
		return 0;
	}
}

/* How many instructions to skip. */
static uint32_t jump(uint32_t a, uint32_t b, const struct sock_filter *i, bool *good)
{
	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return i->k;
	case BPF_JEQ:
		return a == b ? i->jt : i->jf;
	case BPF_JGT:
		return a > b ? i->jt : i->jf;
	case BPF_JGE:
		return a >= b ? i->jt : i->jf;
	case BPF_JSET:
		return (a & b) ? i->jt : i->jf;
	default:
		*good = false;
		return 0;
	}
}

uint32_t weir_filter_run(const struct sock_filter *filter, size_t count, const struct seccomp_data *call)
{
	struct machine m;
	bool good = true;

	memset(&m, 0, sizeof m);
	for (size_t at = 0; at < count && good; at++) {
		const struct sock_filter *i = &filter[at];
		uint32_t operand = BPF_SRC(i->code) == BPF_X ? m.x : i->k;

		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
			m.a = load(&m, i, call, &good);
			break;
		case BPF_LDX:
			m.x = load(&m, i, call, &good);
			break;
		case BPF_ST:
		case BPF_STX:
			good = i->k < BPF_MEMWORDS;
			if (good)
				m.memory[i->k] = BPF_CLASS(i->code) == BPF_ST ? m.a : m.x;
			break;
		case BPF_ALU:
			m.a = compute(m.a, operand, i->code, &good);
			break;
		case BPF_JMP:
			at += jump(m.a, operand, i, &good);
			break;
		case BPF_RET:
			return BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
		default: /* BPF_MISC */
			if (BPF_MISCOP(i->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

static bool passes(const struct sock_filter *filter, size_t count, int number, uint64_t first, uint64_t second)
{
	struct seccomp_data call = {.nr = number, .arch = ARCHITECTURE, .args = {first, second}};
	uint32_t action = weir_filter_run(filter, count, &call) & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG || action == SECCOMP_RET_ERRNO;
}

static void forbid(int number)
{
	atomic_fetch_or_explicit(&weir_kernel_forbidden[number / 64], UINT64_C(1) << (number % 64), memory_order_relaxed);
}

/* Where filters look at arguments, weir's own are asked for. */
static bool may_call(const struct sock_filter *filter, size_t count, int number)
{
	switch (number) {
	case SYS_futex:
		return passes(filter, count, number, 0, FUTEX_WAIT_BITSET) && passes(filter, count, number, 0, FUTEX_WAKE) &&
		       passes(filter, count, number, 0, FUTEX_WAKE_BITSET) &&
		       passes(filter, count, number, 0, FUTEX_WAIT_PRIVATE) &&
		       passes(filter, count, number, 0, FUTEX_WAKE_PRIVATE);
	case WEIR_KERNEL_WAKE_OP: /* of src/segment/ledger.c */
		return passes(filter, count, SYS_futex, 0, FUTEX_WAKE_OP_PRIVATE);
	case SYS_ioctl:
		return passes(filter, count, number, 3, FS_IOC_GETFLAGS) && passes(filter, count, number, 3, FS_IOC_SETFLAGS);
	case SYS_fcntl:
		return passes(filter, count, number, 3, F_GETFL);
	case SYS_getsockopt:
		return passes(filter, count, number, 3, SOL_SOCKET) && passes(filter, count, number, 3, 6 /* IPPROTO_TCP */);
	case SYS_openat:
		return passes(filter, count, number, (uint64_t)AT_FDCWD, 0);
	case SYS_rt_sigprocmask: /* -1: of src/preload/core/readable.c */
		return passes(filter, count, number, SIG_SETMASK, 0) && passes(filter, count, number, SIG_BLOCK, 0) &&
		       passes(filter, count, number, UINT64_MAX, 0);
	default:
		return passes(filter, count, number, 0, 0);
	}
}

void weir_filter_heed(const struct sock_filter *filter, size_t count)
{
	for (int number = 0; number < WEIR_KERNEL_CALLS; number++) {
		if (!may_call(filter, count, number))
			forbid(number);
	}
}

void weir_filter_fear(void)
{
	for (int number = 0; number < WEIR_KERNEL_CALLS; number++)
		forbid(number);
}

bool weir_filter_lets_start(void)
{
	/* All that the library asks for itself: scripts/calls compares. */
	/* clang-format off */
	static const short calls[] = {
		SYS_chdir, SYS_clock_gettime, SYS_clone, SYS_close, SYS_close_range, SYS_connect, SYS_dup, SYS_epoll_ctl,
		SYS_execve, SYS_exit_group, SYS_faccessat, SYS_fallocate, SYS_fchmod, SYS_fcntl, SYS_flock, SYS_fstat, SYS_fstatfs,
		SYS_ftruncate, SYS_futex, SYS_getcwd, SYS_geteuid, SYS_getgid, SYS_getitimer, SYS_getpid, SYS_getppid,
		SYS_getrandom, SYS_getsockopt, SYS_gettid, SYS_getuid, SYS_ioctl, SYS_kill, SYS_linkat, SYS_listen, SYS_madvise,
		SYS_mkdirat, SYS_mmap, SYS_msync, SYS_munmap, SYS_nanosleep, SYS_newfstatat, SYS_openat, SYS_ppoll, SYS_prctl,
		SYS_pread64, SYS_prlimit64, SYS_read, SYS_readlinkat, SYS_renameat2, SYS_rt_sigaction,
		SYS_rt_sigpending, SYS_rt_sigprocmask, SYS_rt_sigtimedwait, SYS_sched_yield, SYS_sendto, SYS_setsid,
		SYS_setsockopt, SYS_shutdown, SYS_sigaltstack, SYS_symlinkat, SYS_tgkill, SYS_umask, SYS_unlinkat, SYS_wait4,
		SYS_write, WEIR_KERNEL_WAKE_OP,
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		if (!weir_kernel_allows(calls[i]))
			return false;
	}
	return true;
}
