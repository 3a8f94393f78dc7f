/* SPDX-License-Identifier: MIT */
#include "src/preload/core/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#define PROBES 8

enum { FREE = 0, FILLING, READY };

static struct weir_library *found(const struct weir_library_kind *kind, unsigned i)
{
	return (struct weir_library *)((char *)kind->found + i * kind->size);
}

static void *function(const struct weir_library *l, unsigned i)
{
	void *f;

	memcpy(&f, (const char *)(l + 1) + i * sizeof f, sizeof f);
	return f;
}

static bool is_loaded(const struct weir_library *l)
{
	return weir_object_is(&l->object, function(l, 0));
}

static uint64_t mixed(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ (h >> 29);
}

uint64_t weir_object_hash(const struct weir_object *o)
{
	const char *name = ((const struct link_map *)o->link_map)->l_name;
	uint64_t h = mixed(mixed(mixed(0, (uintptr_t)o->link_map), (uintptr_t)o->start), (uintptr_t)o->end);

	size_t length = name ? strlen(name) : 0;

	/* Eight at a time: a path has some sixty, and this is asked with every call into a library. */
	for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		if (length - i >= sizeof word)
			memcpy(&word, name + i, sizeof word);
		else
			memcpy(&word, name + i, length - i);
		h = mixed(h, word);
	}
	return (h << 8) != 0 ? h << 8 : 256;
}

struct search {
	const char *file;
	char name[256];
	unsigned found;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *data)
{
	struct search *search = data;
	const char *base = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
	size_t length = info->dlpi_name ? strlen(info->dlpi_name) : 0;

	(void)size;
	if (!base || strncmp(base + 1, search->file, strlen(search->file)) != 0 || length >= sizeof search->name)
		return 0;
	memcpy(search->name, info->dlpi_name, length + 1);
	search->found++;
	return 0;
}

void *weir_only_library(const char *file, const char *symbol)
{
	struct search search = {file, {0}, 0};
	void *handle, *f = NULL;

	dl_iterate_phdr(look_at, &search);
	handle = search.found == 1 ? weir_dlopen(search.name, RTLD_NOLOAD | RTLD_LAZY) : NULL;
	if (handle) {
		f = dlsym(handle, symbol);
		dlclose(handle);
	}
	return f;
}

/* The first function, in whichever library, and which that is. */
static void *find_first(const struct weir_library_kind *kind, const void *caller, struct weir_object *object)
{
	void *f = weir_find_real(kind->names[0], caller);

	if (!f)
		f = weir_only_library(kind->file, kind->names[0]);
	return f && weir_object_of(f, object) ? f : NULL;
}

static void fill(const struct weir_library_kind *kind, struct weir_library *l, void *first, const struct weir_object *object)
{
	l->object = *object;
	/* The library's own object is the caller, so that all functions come from it. */
	for (unsigned i = 0; kind->names[i]; i++) {
		void *f = i == 0 ? first : weir_find_real(kind->names[i], first);

		memcpy((char *)(l + 1) + i * sizeof f, &f, sizeof f);
	}
}

/* Puts it in the table unless it is there. Returns its number, WEIR_LIBRARIES when the table is full of libraries in use. */
static unsigned keep(const struct weir_library_kind *kind, void *first, const struct weir_object *object)
{
	for (unsigned i = 0; i < WEIR_LIBRARIES; i++) {
		struct weir_library *l = found(kind, i);
		int state = atomic_load_explicit(&l->state, memory_order_acquire);

		if (state == READY && is_loaded(l)) {
			if (l->object.link_map == object->link_map && function(l, 0) == first)
				return i;
			continue;
		}
		/* Else it is free, or of a library that is gone. */
		if (state != FILLING && atomic_compare_exchange_strong(&l->state, &state, FILLING)) {
			fill(kind, l, first, object);
			atomic_store_explicit(&l->state, READY, memory_order_release);
			return i;
		}
	}
	return WEIR_LIBRARIES;
}

/* Remembers that the object with this hash has that library. A full neighbourhood gives up its last: callers come and go. */
static void remember(struct weir_library_kind *kind, uint64_t hash, unsigned number)
{
	for (unsigned i = 0; hash != 0 && i < PROBES; i++) {
		_Atomic uint64_t *word = &kind->callers[((hash >> 8) + i) & (WEIR_CALLERS - 1)];

		if (atomic_load_explicit(word, memory_order_relaxed) == 0 || i == PROBES - 1) {
			atomic_store_explicit(word, hash | (number + 1), memory_order_release);
			return;
		}
	}
}

__attribute__((noinline)) static const void *find_anew(struct weir_library_kind *kind, const void *caller, uint64_t hash)
{
	struct weir_object object;
	int saved = errno;
	void *first = find_first(kind, caller, &object);
	unsigned number = first ? keep(kind, first, &object) : WEIR_LIBRARIES;

	errno = saved;
	if (number == WEIR_LIBRARIES)
		return NULL;
	remember(kind, hash, number);
	return found(kind, number);
}

const void *weir_library_for(struct weir_library_kind *kind, const void *caller)
{
	struct weir_object object;
	uint64_t hash = weir_object_of(caller, &object) ? weir_object_hash(&object) : 0;

	for (unsigned i = 0; hash != 0 && i < PROBES; i++) {
		uint64_t word =
			atomic_load_explicit(&kind->callers[((hash >> 8) + i) & (WEIR_CALLERS - 1)], memory_order_acquire);
		unsigned number = (unsigned)(word & 0xff) - 1;

		if (word == 0)
			break;
		if ((word & ~UINT64_C(0xff)) == hash && number < WEIR_LIBRARIES) {
			const struct weir_library *l = found(kind, number);

			if (atomic_load_explicit(&l->state, memory_order_acquire) == READY && is_loaded(l))
				return l;
		}
	}
	return find_anew(kind, caller, hash);
}

const void *weir_library_called(struct weir_library_kind *kind, const void **last, const void *caller, bool *inner)
{
	static const char here;
	const struct weir_library *l = *last;
	struct weir_object from, us;

	*inner = l && weir_object_of(caller, &from) &&
		 (from.link_map == l->object.link_map || (weir_object_of(&here, &us) && from.link_map == us.link_map));
	if (!*inner)
		*last = l = weir_library_for(kind, caller);
	return l;
}
