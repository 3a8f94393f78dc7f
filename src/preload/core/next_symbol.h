/* SPDX-License-Identifier: MIT */
/*
 * dlsym(RTLD_NEXT, name), for the constructor.
 *
 * Every process that is started with the library asks for some dozens of functions before main, and dlsym takes about 300 ns for
 * each, most of it for what is not needed here: its lock, its errors, the search for who calls. This walks the same objects in
 * the same order (those loaded at start-up, behind us) through their GNU hash tables.
 */
#ifndef WEIR_NEXT_SYMBOL_H
#define WEIR_NEXT_SYMBOL_H

#include <stddef.h>
#include <stdint.h>

struct link_map;

/* The hash of DT_GNU_HASH (Bernstein's, times 33). */
uint32_t weir_symbol_hash(const char *name);

/* A function that is looked for. */
struct weir_wanted {
	uint32_t hash;
	uint16_t name;  /* the caller's number of it */
	uint16_t found; /* enum weir_found */
};

enum weir_found {
	WEIR_MISSING = 0, /* by no object behind us */
	WEIR_FOUND,       /* as the first object that has it defines it, in its default version */
	WEIR_UNCLEAR,     /* no plain function, or an object has no such table: dlsym tells */
};

/* Looks for all of them behind `map`. name(i) gives a name, take(i, address) gets what was found, each at most once. Not to be
 * called once objects may come and go. Never blocks. */
void weir_next_symbols(const struct link_map *map, struct weir_wanted *wanted, size_t n, const char *(*name)(size_t i),
		       void (*take)(size_t i, void *function));

#endif
