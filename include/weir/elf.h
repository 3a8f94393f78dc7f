/* SPDX-License-Identifier: MIT */
/*
 * What a program's file says of itself, before it is run: whether the library can be preloaded into it, and what would be seen.
 *
 * The file is anybody's and may be damaged on purpose: every offset and length in it is checked, work is bounded. By system calls
 * of our own alone (openat, read, pread64, fstat, close, which the dynamic linker needs as well), without malloc and with small
 * frames, so that the hooks of exec can use it. All may change errno and block for as long as the disk takes.
 */
#ifndef WEIR_ELF_H
#define WEIR_ELF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum weir_elf_kind { WEIR_ELF_UNKNOWN = 0, WEIR_ELF_SCRIPT, WEIR_ELF_PROGRAM };

/* Libraries that it names as needed: bits of weir_elf.needs. */
enum weir_elf_need {
	WEIR_NEEDS_LIBC = 1, /* glibc's */
	WEIR_NEEDS_MUSL = 2,
	WEIR_NEEDS_ASAN = 4, /* AddressSanitizer's runtime, which insists on being loaded first */
	WEIR_NEEDS_CURL = 8,
	WEIR_NEEDS_OPENSSL = 16,
	WEIR_NEEDS_GNUTLS = 32,
	WEIR_NEEDS_NSS = 64,
	WEIR_NEEDS_SECCOMP = 128,
};

struct weir_elf {
	enum weir_elf_kind kind;
	bool ours;    /* the class, byte order and machine that this code has */
	bool dynamic; /* asks for a dynamic linker */
	bool go;
	uint8_t bits;          /* 32 or 64 */
	uint16_t machine;      /* EM_... */
	unsigned needs;        /* of weir_elf_need; only when ours */
	char interpreter[128]; /* the dynamic linker, or what runs the script; "" = none, or too long a path */
	char argument[96];     /* the one that the script gives to it, cut */
};

/* The file behind fd, which is not moved. What is damaged is told as far as it goes. */
void weir_elf_read(int fd, struct weir_elf *out);

/* Whether the object behind fd leaves one of these functions (a list that ends with NULL; names under 31 characters) to be found
 * elsewhere. By its section headers: false where they have been stripped. A system call for each name that it leaves. */
bool weir_elf_imports(int fd, const char *const *names);

/* Why the library must not be preloaded: the program would not start, or complain. NULL when it may (it may also do nothing). */
const char *weir_elf_unfit(const struct weir_elf *e);

/* Why the library, though it does no harm, would see nothing of this program: static, Go. NULL when it would. */
const char *weir_elf_unseen(const struct weir_elf *e);

/* A command as exec would find it. */
struct weir_executable {
	struct weir_elf elf; /* of the program: behind a script its interpreter, behind env(1) what that would start */
	bool script;
	bool set_id;    /* it would run with another user's or group's rights, and the kernel and glibc ignore LD_PRELOAD */
	uint32_t where; /* which file could not be opened, when weir_executable_find fails: 0 the command, else an interpreter */
};

/* Finds what runs when `command` is executed: by itself when it holds a slash, else in `search` (as PATH; NULL: the usual
 * places). Scripts are followed to their interpreters. Returns a descriptor of the program's file, which is the caller's to
 * close, or -1 with errno. */
int weir_executable_find(const char *command, const char *search, struct weir_executable *out);

/* The same for a file that is open already; fd stays the caller's. Returns false when its interpreter cannot be opened. */
bool weir_executable_of(int fd, const char *search, struct weir_executable *out);

#endif
