/* SPDX-License-Identifier: MIT */
#include "src/preload/core/next_symbol.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define WORD_BITS (8 * sizeof(ElfW(Addr)))
#define HIDDEN    0x8000 /* of a version: not the default one */

/* What an object exports. */
struct exports {
	ElfW(Addr) base;
	const ElfW(Sym) * symbols;
	const char *names;
	const uint16_t *versions; /* NULL: it has none */
	uint32_t buckets, first, bloom_words, bloom_shift;
	const ElfW(Addr) * bloom;
	const uint32_t *bucket, *chain;
};

uint32_t weir_symbol_hash(const char *name)
{
	uint32_t hash = 5381;

	for (; *name != '\0'; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

/* The dynamic linker may or may not have made addresses of the offsets in there. */
static const void *at(const struct link_map *map, const ElfW(Dyn) * d)
{
	ElfW(Addr) address = d->d_un.d_ptr < map->l_addr ? d->d_un.d_ptr + map->l_addr : d->d_un.d_ptr;

	return (const void *)address; // NOLINT(performance-no-int-to-ptr)
}

static bool exports_of(const struct link_map *map, struct exports *e)
{
	const uint32_t *hash = NULL;

	memset(e, 0, sizeof *e);
	e->base = map->l_addr;
	for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			e->symbols = at(map, d);
		else if (d->d_tag == DT_STRTAB)
			e->names = at(map, d);
		else if (d->d_tag == DT_VERSYM)
			e->versions = at(map, d);
		else if (d->d_tag == DT_GNU_HASH)
			hash = at(map, d);
	}
	if (!hash || !e->symbols || !e->names || hash[0] == 0 || hash[2] == 0)
		return false;
	e->buckets = hash[0];
	e->first = hash[1];
	e->bloom_words = hash[2];
	e->bloom_shift = hash[3];
	e->bloom = (const ElfW(Addr) *)(const void *)(hash + 4);
	e->bucket = (const uint32_t *)(e->bloom + e->bloom_words);
	e->chain = e->bucket + e->buckets;
	return true;
}

static bool may_have(const struct exports *e, uint32_t hash)
{
	ElfW(Addr) word = e->bloom[hash / WORD_BITS % e->bloom_words];

	return (word >> hash % WORD_BITS & word >> (hash >> e->bloom_shift) % WORD_BITS & 1) != 0;
}

static enum weir_found judge(const struct exports *e, uint32_t index, void **function)
{
	const ElfW(Sym) *symbol = &e->symbols[index];
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	if (symbol->st_shndx == SHN_UNDEF || (e->versions && (e->versions[index] & HIDDEN)))
		return WEIR_MISSING;
	if (type != STT_FUNC || symbol->st_value == 0 || symbol->st_shndx == SHN_ABS)
		return WEIR_UNCLEAR;
	*function = (void *)(e->base + symbol->st_value); // NOLINT(performance-no-int-to-ptr)
	return WEIR_FOUND;
}

static enum weir_found look_in(const struct exports *e, uint32_t hash, const char *name, void **function)
{
	uint32_t i;

	if (!may_have(e, hash))
		return WEIR_MISSING;
	i = e->bucket[hash % e->buckets];
	for (; i >= e->first && i != 0; i++) {
		uint32_t of = e->chain[i - e->first];

		if ((of | 1) == (hash | 1) && strcmp(e->names + e->symbols[i].st_name, name) == 0) {
			enum weir_found found = judge(e, i, function);

			if (found != WEIR_MISSING)
				return found;
		}
		if (of & 1)
			break;
	}
	return WEIR_MISSING;
}

void weir_next_symbols(const struct link_map *map, struct weir_wanted *wanted, size_t n, const char *(*name)(size_t i),
		       void (*take)(size_t i, void *function))
{
	size_t left = n;

	for (map = map ? map->l_next : NULL; map && left > 0; map = map->l_next) {
		struct exports e;
		bool known = exports_of(map, &e);

		for (size_t i = 0; i < n; i++) {
			void *function = NULL;

			if (wanted[i].found != WEIR_MISSING)
				continue;
			wanted[i].found =
				(uint16_t)(known ? look_in(&e, wanted[i].hash, name(wanted[i].name), &function) : WEIR_UNCLEAR);
			if (wanted[i].found == WEIR_FOUND)
				take(wanted[i].name, function);
			left -= wanted[i].found != WEIR_MISSING;
		}
	}
}
