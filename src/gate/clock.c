/* SPDX-License-Identifier: MIT */
/*
 * The clocks, read from the vDSO itself: the page of code that the kernel maps into every process, which is what the C library's
 * clock_gettime calls. That function is not used, because others replace it: a time that is shared must be the machine's, not
 * that of libfaketime. Where there is no vDSO (valgrind hides it) or it has no such function, it is a system call.
 */
#include "weir/gate.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "weir/kernel.h"

#ifdef __aarch64__
#define CLOCK_FUNCTION "__kernel_clock_gettime"
#else
#define CLOCK_FUNCTION "__vdso_clock_gettime"
#endif

#define PAGE_MASK UINT64_C(0xfff)

typedef int clock_function(clockid_t, struct timespec *);

static int ask_kernel(clockid_t clock, struct timespec *t)
{
	return (int)weir_syscall(SYS_clock_gettime, clock, t);
}

/* What the dynamic section says, at its place in memory. */
struct tables {
	const ElfW(Sym) * symbols;
	const char *names;
	const uint32_t *hash, *gnu_hash;
};

static struct tables tables_of(const unsigned char *image)
{
	const ElfW(Ehdr) *header = (const void *)image;
	const ElfW(Phdr) *segment = (const void *)(image + header->e_phoff);
	const ElfW(Dyn) *d = NULL;
	struct tables t = {NULL, NULL, NULL, NULL};
	uintptr_t offset = 0;

	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (segment[i].p_type == PT_LOAD)
			offset = (uintptr_t)image + segment[i].p_offset - segment[i].p_vaddr;
		else if (segment[i].p_type == PT_DYNAMIC)
			d = (const void *)(image + segment[i].p_offset);
	}
	for (; d && d->d_tag != DT_NULL; d++) {
		const void *at = (const void *)(offset + d->d_un.d_ptr);

		if (d->d_tag == DT_SYMTAB)
			t.symbols = at;
		else if (d->d_tag == DT_STRTAB)
			t.names = at;
		else if (d->d_tag == DT_HASH)
			t.hash = at;
		else if (d->d_tag == DT_GNU_HASH)
			t.gnu_hash = at;
	}
	return t;
}

/* How many symbols there are: the older hash table says so, in the newer one the last chain ends with the last symbol. */
static uint32_t count_symbols(const struct tables *t)
{
	const uint32_t *h = t->gnu_hash, *buckets, *chain;
	uint32_t last = 0;

	if (t->hash)
		return t->hash[1];
	if (!h)
		return 0;
	buckets = h + 4 + h[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
	chain = buckets + h[0];
	for (uint32_t i = 0; i < h[0]; i++)
		last = buckets[i] > last ? buckets[i] : last;
	if (last < h[1])
		return 0;
	while ((chain[last - h[1]] & 1) == 0)
		last++;
	return last + 1;
}

/* The vDSO's function. getauxval may be replaced like any other; then this is no page with an ELF header, or it is a copy of the
 * vDSO. */
static clock_function *find_function(void)
{
	uintptr_t base = getauxval(AT_SYSINFO_EHDR);
	const unsigned char *image = (const unsigned char *)base;
	struct tables t;
	uint32_t count;

	if (base == 0 || (base & PAGE_MASK) != 0 || memcmp(image, ELFMAG, SELFMAG) != 0)
		return ask_kernel;
	t = tables_of(image);
	count = t.symbols && t.names ? count_symbols(&t) : 0;
	for (uint32_t i = 0; i < count; i++) {
		const ElfW(Sym) *s = &t.symbols[i];

		if (s->st_shndx != SHN_UNDEF && strcmp(t.names + s->st_name, CLOCK_FUNCTION) == 0)
			return (clock_function *)(base + s->st_value);
	}
	return ask_kernel;
}

static clock_function find_and_read;
static _Atomic(clock_function *) read_clock = find_and_read;

/* The first reading of all. Several threads may be here; they find the same. */
static int find_and_read(clockid_t clock, struct timespec *t)
{
	clock_function *found = find_function();

	atomic_store_explicit(&read_clock, found, memory_order_relaxed);
	return found(clock, t);
}

static inline uint64_t now_of(clockid_t clock)
{
	struct timespec t;

	/* A seccomp filter may be in the way of a vDSO that falls back to the system call; then there is no time at all. */
	if (atomic_load_explicit(&read_clock, memory_order_relaxed)(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

uint64_t weir_now_ns(void)
{
	return now_of(CLOCK_MONOTONIC);
}

uint64_t weir_tick_ns(void)
{
	return now_of(CLOCK_MONOTONIC_COARSE);
}

uint64_t weir_wall_ns(void)
{
	return now_of(CLOCK_REALTIME);
}

uint64_t weir_wall_tick_ns(void)
{
	return now_of(CLOCK_REALTIME_COARSE);
}
