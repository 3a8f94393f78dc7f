/* SPDX-License-Identifier: MIT */
/*
 * The kernel, asked directly.
 *
 * In a host process the C library's functions belong to everybody: libfaketime replaces clock_gettime, stat and getpid, fakeroot
 * geteuid and stat, fakechroot whatever takes a path. What they say is right for the program, but an answer that goes into the
 * shared memory, that is compared with another process's, or that decides whom to trust has to be the kernel's:
 * docs/architecture.md, "What is asked of whom".
 *
 * As with syscall(3): -1 and errno on failure. No cancellation points; async-signal-safe.
 */
#ifndef WEIR_KERNEL_H
#define WEIR_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define WEIR_KERNEL_CALLS 512

/* No number of the kernel's: futex's FUTEX_WAKE_OP, which a filter may tell from the operations that waiting needs. */
#define WEIR_KERNEL_WAKE_OP (WEIR_KERNEL_CALLS - 1)

/* A bit for every system call that a seccomp filter of this process would kill it for (weir/sandbox.h): it fails with ENOSYS and
 * is not made. All zero as long as there is no filter. */
extern _Atomic uint64_t weir_kernel_forbidden[WEIR_KERNEL_CALLS / 64];

static inline bool weir_kernel_allows(long number)
{
	return (atomic_load_explicit(&weir_kernel_forbidden[(number / 64) % (WEIR_KERNEL_CALLS / 64)], memory_order_relaxed) >>
			(number % 64) &
		1) == 0;
}

#ifdef __clang_analyzer__
/* It does not know what the instruction does to memory; of a function that it does not see it supposes anything. */
long weir_kernel_call(long number, long a, long b, long c, long d, long e, long f);
#else
static inline long weir_kernel_call(long number, long a, long b, long c, long d, long e, long f)
{
	if (!weir_kernel_allows(number)) {
		errno = ENOSYS;
		return -1;
	}
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long answer;

	__asm__ volatile("syscall"
			 : "=a"(answer)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	long answer;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	answer = x0;
#else
	return syscall(number, a, b, c, d, e, f);
#endif
#if defined(__x86_64__) || defined(__aarch64__)
	if (answer < 0 && answer > -4096) {
		errno = (int)-answer;
		return -1;
	}
	return answer;
#endif
}
#endif

/* Like syscall(3): a number and up to six integers or pointers. */
#define weir_syscall(...) WEIR_SYSCALL_OF(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define WEIR_SYSCALL_OF(n, a, b, c, d, e, f, ...)                                                                                \
	weir_kernel_call((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline pid_t weir_getpid(void)
{
	return (pid_t)weir_syscall(SYS_getpid);
}

static inline uid_t weir_geteuid(void)
{
	return (uid_t)weir_syscall(SYS_geteuid);
}

static inline int weir_kill(pid_t pid, int number)
{
	return (int)weir_syscall(SYS_kill, pid, number);
}

static inline int weir_open(const char *path, int flags, mode_t mode)
{
	return (int)weir_syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static inline long weir_read(int fd, void *out, size_t bytes)
{
	return weir_syscall(SYS_read, fd, out, bytes);
}

static inline void weir_close(int fd)
{
	weir_syscall(SYS_close, fd);
}

/* On 64-bit machines the C library's struct stat is the kernel's. */
static inline int weir_stat(const char *path, struct stat *st)
{
	return (int)weir_syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

static inline int weir_lstat(const char *path, struct stat *st)
{
	return (int)weir_syscall(SYS_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

static inline int weir_fstat(int fd, struct stat *st)
{
	return (int)weir_syscall(SYS_fstat, fd, st);
}

/* Whether the file may be executed by the real user. */
static inline bool weir_may_execute(const char *path)
{
	return weir_syscall(SYS_faccessat, AT_FDCWD, path, X_OK) == 0;
}

/* The working directory, NUL-terminated; false when it is unknown or longer. */
static inline bool weir_getcwd(char *out, size_t size)
{
	return weir_syscall(SYS_getcwd, out, size) > 0;
}

static inline int weir_mkdir(const char *path, mode_t mode)
{
	return (int)weir_syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

static inline int weir_unlink(const char *path, int flags)
{
	return (int)weir_syscall(SYS_unlinkat, AT_FDCWD, path, flags);
}

static inline int weir_link(const char *from, const char *to, int flags)
{
	return (int)weir_syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, flags);
}

#endif
