/* SPDX-License-Identifier: MIT */
/*
 * Hooks of prctl and syscall: a program that installs a seccomp filter is about to lose most system calls, and weir with it. The
 * segment is mapped before, and what the filter would kill for is not called afterwards (weir/sandbox.h). With futex forbidden
 * weir cannot wait, so it only counts.
 *
 * A filter that comes by another way (an instruction of the program's own) is not seen.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "src/preload/core/attach.h"
#include "src/preload/core/environment.h"
#include "src/preload/core/find_real.h"
#include "src/preload/core/hook.h"
#include "src/preload/core/readable.h"
#include "weir/kernel.h"
#include "weir/sandbox.h"

/* Copies what the caller's pointer leads to; it may lead nowhere, which is for the kernel to say. */
static bool copy(void *out, const void *from, size_t bytes)
{
	if (!weir_readable(from, bytes))
		return false;
	memcpy(out, from, bytes);
	return true;
}

static void heed(const void *program)
{
	struct sock_fprog p;
	struct sock_filter *filter;
	size_t bytes;

	/* After a filter that lets nobody ask where a pointer leads, it is not read. */
	if (!weir_kernel_allows(SYS_rt_sigprocmask)) {
		weir_filter_fear();
		return;
	}
	/* The kernel refuses what it cannot read or what has no such length, and nothing has changed: programs ask so whether
	 * there are filters at all. */
	if (!copy(&p, program, sizeof p) || p.len == 0 || p.len > BPF_MAXINSNS)
		return;
	bytes = p.len * sizeof *filter;
	filter = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (filter == MAP_FAILED) {
		weir_filter_fear();
		return;
	}
	if (copy(filter, p.filter, bytes))
		weir_filter_heed(filter, p.len);
	munmap(filter, bytes);
}

/* operation: SECCOMP_SET_MODE_... */
void weir_seccomp_announced(unsigned long operation, const void *program);
__attribute__((used, noinline)) void weir_seccomp_announced(unsigned long operation, const void *program)
{
	int saved = errno;

	if (weir_disabled() || operation > SECCOMP_SET_MODE_FILTER) {
		errno = saved;
		return;
	}
	weir_attach();
	weir_thread_id();
	if (operation == SECCOMP_SET_MODE_FILTER)
		heed(program);
	else
		weir_filter_fear();
	if (!weir_kernel_allows(SYS_futex))
		weir_attach_only_counts();
	errno = saved;
}

WEIR_HOOK int prctl(int option, ...)
{
	const struct weir_libc *libc = weir_libc();
	unsigned long a, b, c, d;
	va_list rest;

	va_start(rest, option);
	a = va_arg(rest, unsigned long);
	b = va_arg(rest, unsigned long);
	c = va_arg(rest, unsigned long);
	d = va_arg(rest, unsigned long);
	va_end(rest);
	if (option == PR_SET_SECCOMP)
		weir_seccomp_announced(a == SECCOMP_MODE_FILTER   ? SECCOMP_SET_MODE_FILTER
				       : a == SECCOMP_MODE_STRICT ? SECCOMP_SET_MODE_STRICT
								  : ~0UL,
				       (const void *)b);
	return libc->prctl ? libc->prctl(option, a, b, c, d) : (int)weir_syscall(SYS_prctl, option, a, b, c, d);
}

#if defined(__x86_64__) || defined(__aarch64__)

/* errno for the code below, which has made the call itself. */
long weir_syscall_failed(long answer);
__attribute__((used, noinline)) long weir_syscall_failed(long answer)
{
	errno = (int)-answer;
	return -1;
}

/* NULL until the constructors have run. */
__attribute__((used)) WEIR_EARLY long (*weir_real_syscall)(long, ...);

__attribute__((constructor)) static void find_syscall(void)
{
	weir_real_syscall = weir_libc()->syscall;
}

/* As a jump, so that whatever the call does with the stack (clone, vfork) happens on the caller's. Only seccomp is looked at;
 * everything else costs a comparison. Where nothing comes after us, as the C library does it. */
#ifdef __x86_64__
_Static_assert(SYS_seccomp == 317, "it stands in the code");
__asm__(".text\n"
	".globl syscall\n"
	".type syscall, @function\n"
	"syscall:\n"
	"	endbr64\n"
	"	cmpq $317, %rdi\n"
	"	je 2f\n"
	"1:	movq weir_real_syscall(%rip), %rax\n"
	"	testq %rax, %rax\n"
	"	je 3f\n"
	"	jmpq *%rax\n"
	"2:	pushq %rdi\n"
	"	pushq %rsi\n"
	"	pushq %rdx\n"
	"	pushq %rcx\n"
	"	pushq %r8\n"
	"	movq %rsi, %rdi\n"
	"	movq %rcx, %rsi\n"
	"	call weir_seccomp_announced\n"
	"	popq %r8\n"
	"	popq %rcx\n"
	"	popq %rdx\n"
	"	popq %rsi\n"
	"	popq %rdi\n"
	"	jmp 1b\n"
	"3:	movq %rdi, %rax\n"
	"	movq %rsi, %rdi\n"
	"	movq %rdx, %rsi\n"
	"	movq %rcx, %rdx\n"
	"	movq %r8, %r10\n"
	"	movq %r9, %r8\n"
	"	movq 8(%rsp), %r9\n"
	"	syscall\n"
	"	cmpq $-4095, %rax\n"
	"	jae 4f\n"
	"	ret\n"
	"4:	movq %rax, %rdi\n"
	"	jmp weir_syscall_failed\n"
	".size syscall, .-syscall\n");
#else
/* hint #34 is bti c. Six arguments in x1 to x6, the number in x0. */
_Static_assert(SYS_seccomp == 277, "it stands in the code");
__asm__(".text\n"
	".balign 4\n"
	".globl syscall\n"
	".type syscall, %function\n"
	"syscall:\n"
	"	hint #34\n"
	"	cmp x0, #277\n"
	"	b.eq 2f\n"
	"1:	adrp x16, weir_real_syscall\n"
	"	ldr x16, [x16, :lo12:weir_real_syscall]\n"
	"	cbz x16, 3f\n"
	"	br x16\n"
	"2:	stp x29, x30, [sp, #-64]!\n"
	"	mov x29, sp\n"
	"	stp x0, x1, [sp, #16]\n"
	"	stp x2, x3, [sp, #32]\n"
	"	stp x4, x5, [sp, #48]\n"
	"	mov x0, x1\n"
	"	mov x1, x3\n"
	"	bl weir_seccomp_announced\n"
	"	ldp x0, x1, [sp, #16]\n"
	"	ldp x2, x3, [sp, #32]\n"
	"	ldp x4, x5, [sp, #48]\n"
	"	ldp x29, x30, [sp], #64\n"
	"	b 1b\n"
	"3:	mov x8, x0\n"
	"	mov x0, x1\n"
	"	mov x1, x2\n"
	"	mov x2, x3\n"
	"	mov x3, x4\n"
	"	mov x4, x5\n"
	"	mov x5, x6\n"
	"	svc #0\n"
	"	cmn x0, #4095\n"
	"	b.cs 4f\n"
	"	ret\n"
	"4:	b weir_syscall_failed\n"
	".size syscall, .-syscall\n");
#endif

#endif
