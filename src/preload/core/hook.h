/* SPDX-License-Identifier: MIT */
/*
 * What every hook shares.
 *
 * A hook is a function of libc or libcurl under its own name. It is thin: it finds out which host is asked and what came back,
 * and asks the gate. errno is left as the real function left it, unless weir refuses.
 */
#ifndef WEIR_HOOK_H
#define WEIR_HOOK_H

#define WEIR_HOOK __attribute__((visibility("default")))

/* The stack frame of the hook itself, which tells what runs inside it from what comes after it: see flight.h. */
#define WEIR_FRAME ((uintptr_t)__builtin_frame_address(0))

/* Thread-local storage at a fixed distance from the thread pointer: the library is loaded at start-up, by LD_PRELOAD. */
#define WEIR_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

/* Variables that every process touches as it starts or ends, in the page where the dynamic linker does: among all the others,
 * which are zero until they are used, each would cost a page fault of its own, a microsecond or two. A few bytes each: they stand
 * in the file. */
#define WEIR_EARLY __attribute__((section(".data.early")))

/* Returns what the call returns, as a jump: the function that is called sees the hook's caller. gcc does so of itself when it
 * optimises, clang at -O0 as well. */
#ifdef __has_attribute
#if __has_attribute(musttail)
#define WEIR_JUMP(call) __attribute__((musttail)) return call
#endif
#endif
#ifndef WEIR_JUMP
#define WEIR_JUMP(call) return call
#endif

#endif
