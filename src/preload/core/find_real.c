/* SPDX-License-Identifier: MIT */
#include "src/preload/core/find_real.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

static struct weir_libc libc;
static _Atomic bool libc_found;

/* musl has none: without the attribute a program that uses it would not even start. */
#pragma weak dladdr1

/* glibc has _dl_find_object since 2.35. It is looked up by name, as a weak reference would still ask for that version of glibc.
 */
static _Atomic(__typeof__(_dl_find_object) *) find_object;

/* For glibc before 2.35. Without the end, which is not needed to tell objects apart. */
static bool object_by_address(const void *address, struct weir_object *out)
{
	struct link_map *map = NULL;
	Dl_info info;

	if (!dladdr1 || dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || !map)
		return false;
	out->link_map = map;
	out->start = out->end = info.dli_fbase;
	return true;
}

bool weir_object_of(const void *address, struct weir_object *out)
{
	__typeof__(_dl_find_object) *find = atomic_load_explicit(&find_object, memory_order_relaxed);
	struct dl_find_object found;

	if (!find)
		return object_by_address(address, out);
	if (find((void *)address, &found) != 0)
		return false;
	out->link_map = found.dlfo_link_map;
	out->start = found.dlfo_map_start;
	out->end = found.dlfo_map_end;
	return true;
}

bool weir_object_is(const struct weir_object *object, const void *address)
{
	struct weir_object now;

	return weir_object_of(address, &now) && now.link_map == object->link_map && now.start == object->start &&
	       now.end == object->end;
}

static const void *ourselves(void)
{
	static const char here;
	struct weir_object object;

	return weir_object_of(&here, &object) ? object.link_map : NULL;
}

/* The dynamic linker may or may not have made addresses of the offsets in there. */
static const char *name_of(const struct link_map *map)
{
	const ElfW(Dyn) *d = map->l_ld;
	uintptr_t names = 0, name = 0;

	for (; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_STRTAB)
			names = d->d_un.d_ptr < map->l_addr ? d->d_un.d_ptr + map->l_addr : d->d_un.d_ptr;
		else if (d->d_tag == DT_SONAME)
			name = d->d_un.d_val;
	}
	return names != 0 && name != 0 ? (const char *)(names + name) : "";
}

static bool is_weir(const struct link_map *map)
{
	return strcmp(name_of(map), "libweir.so") == 0;
}

bool weir_behind_another(void)
{
	const struct link_map *map = ourselves();

	while (map && map->l_prev) {
		map = map->l_prev;
		if (is_weir(map))
			return true;
	}
	return false;
}

void *weir_dlopen(const char *file, int mode)
{
	const struct weir_libc *real = weir_libc();

	return real->dlopen ? real->dlopen(file, mode) : NULL;
}

/* NULL for a function of ours. */
static void *foreign(void *function)
{
	struct weir_object object;

	if (!function || !weir_object_of(function, &object))
		return function;
	return object.link_map == ourselves() ? NULL : function;
}

static void *in_object(const struct link_map *map, const char *name)
{
	void *handle, *function;

	/* The program itself has no name: it searches where everybody does, and would find us. */
	if (!map->l_name || map->l_name[0] == '\0')
		return NULL;
	handle = weir_dlopen(map->l_name, RTLD_NOLOAD | RTLD_LAZY);
	if (!handle)
		return NULL;
	function = foreign(dlsym(handle, name));
	dlclose(handle);
	return function;
}

void *weir_find_real(const char *name, const void *caller)
{
	struct weir_object object;
	void *function = NULL;

	/* Another copy of the library in front of us is no place to look: it would find itself. */
	if (weir_object_of(caller, &object) && object.link_map != ourselves() && !is_weir(object.link_map))
		function = in_object(object.link_map, name);
	return function ? function : foreign(dlsym(RTLD_NEXT, name));
}

/* Several threads may do this at once: they all write the same values. */
static void find_libc(void)
{
	atomic_store_explicit(&find_object, (__typeof__(_dl_find_object) *)dlsym(RTLD_DEFAULT, "_dl_find_object"),
			      memory_order_relaxed);
#define FIND(name) libc.name = (__typeof__(libc.name))foreign(dlsym(RTLD_NEXT, #name))
	FIND(dlopen);
	FIND(connect);
	FIND(close);
	FIND(getsockopt);
	FIND(getaddrinfo);
	FIND(gethostbyname);
	FIND(gethostbyname2);
	FIND(gethostbyname_r);
	FIND(gethostbyname2_r);
	FIND(execve);
	FIND(execv);
	FIND(execvp);
	FIND(execvpe);
	FIND(fexecve);
	FIND(execveat);
	FIND(posix_spawn);
	FIND(posix_spawnp);
	FIND(setuid);
	FIND(seteuid);
	FIND(setreuid);
	FIND(setresuid);
	FIND(setgid);
	FIND(setegid);
	FIND(setregid);
	FIND(setresgid);
	FIND(setgroups);
	FIND(initgroups);
	FIND(chroot);
	FIND(prctl);
	FIND(syscall);
#undef FIND
	atomic_store_explicit(&libc_found, true, memory_order_release);
}

__attribute__((constructor)) static void find_early(void)
{
	if (!atomic_load_explicit(&libc_found, memory_order_relaxed))
		find_libc();
}

const struct weir_libc *weir_libc(void)
{
	if (__builtin_expect(!atomic_load_explicit(&libc_found, memory_order_acquire), 0))
		find_libc();
	return &libc;
}
