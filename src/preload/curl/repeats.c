/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/repeats.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

/* So long after a failure who asks for the same again is taken to do it because of the failure: the longest wait of curl's
 * --retry. */
#define LATELY_S UINT64_C(600)
#define PLACES   64 /* a power of two */

/* digest:40 | second of CLOCK_MONOTONIC, modulo 2^24. One that is overwritten by another is forgotten: weir asks again then. */
static _Atomic uint64_t noted[PLACES];
static bool was_told;

#define SECONDS_MASK UINT64_C(0xffffff)

/* glibc hands main's arguments to constructors, others need not. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

__attribute__((constructor)) static void look_at_command(int argc, char **argv)
{
	const char *name;

	if (!gnu_get_libc_version || argc < 2 || !argv || !argv[0])
		return;
	name = strrchr(argv[0], '/');
	if (strcmp(name ? name + 1 : argv[0], "curl") != 0)
		return;
	for (int i = 1; i < argc && argv[i]; i++)
		was_told = was_told || strcmp(argv[i], "--retry") == 0;
}

/* FNV-1a. */
static uint64_t digest_of(const char *url)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; url[i] != '\0'; i++)
		hash = (hash ^ (unsigned char)url[i]) * UINT64_C(0x100000001b3);
	return hash | UINT64_C(1) << 63;
}

static uint64_t word_of(uint64_t digest, uint64_t now_ns)
{
	return (digest & ~SECONDS_MASK) | ((now_ns / 1000000000U) & SECONDS_MASK);
}

bool weir_repeats(const char *url, uint64_t now_ns)
{
	uint64_t digest = digest_of(url), word, age;

	if (was_told)
		return true;
	word = atomic_load_explicit(&noted[digest & (PLACES - 1)], memory_order_relaxed);
	age = (now_ns / 1000000000U - word) & SECONDS_MASK;
	return (word & ~SECONDS_MASK) == (digest & ~SECONDS_MASK) && age <= LATELY_S;
}

void weir_repeats_note(const char *url, uint64_t now_ns)
{
	uint64_t digest = digest_of(url);

	atomic_store_explicit(&noted[digest & (PLACES - 1)], word_of(digest, now_ns), memory_order_relaxed);
}
