/* SPDX-License-Identifier: MIT */
#include "mortal.h"

#if defined(__x86_64__)

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static sigjmp_buf end;
static volatile unsigned long left;

/* The processor traps after each instruction (the trap flag), which the kernel makes a signal; in the handler it does not. */
static void stepped(int number)
{
	(void)number;
	if (--left == 0)
		siglongjmp(end, 1);
}

/* What lies 128 bytes below the stack pointer is the function's own. */
static inline void step(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::
				 : "memory", "cc");
}

static inline void run_on(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::
				 : "memory", "cc");
}

bool sim_dies_after(unsigned long instructions, void (*run)(void *arg), void *arg)
{
	const struct sigaction action = {.sa_handler = stepped};

	sigaction(SIGTRAP, &action, NULL);
	left = instructions > 0 ? instructions : 1;
	if (sigsetjmp(end, 1) != 0)
		return true;
	step();
	run(arg);
	run_on();
	return false;
}

#else

bool sim_dies_after(unsigned long instructions, void (*run)(void *arg), void *arg)
{
	(void)instructions;
	run(arg);
	return false;
}

#endif
