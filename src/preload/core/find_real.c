/* SPDX-License-Identifier: MIT */
#include "src/preload/core/hook.h"
#include "src/preload/core/find_real.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "src/preload/core/next_symbol.h"

/* musl has none: without the attribute a program that uses it would not even start. */
#pragma weak dladdr1

/* glibc has _dl_find_object since 2.35. It is looked up by name, as a weak reference would still ask for that version of glibc.
 */
typedef __typeof__(_dl_find_object) find_object_function;
static WEIR_EARLY find_object_function *_Atomic find_object;

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
	find_object_function *find = atomic_load_explicit(&find_object, memory_order_relaxed);
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

/* glibc and others that debuggers understand have it. */
#pragma weak _r_debug

/* Known by its dynamic section, in the list that debuggers read: the one way that costs nothing. A second list of objects
 * (dlmopen) is not in there. */
static const struct link_map *ourselves(void)
{
	static WEIR_EARLY const struct link_map *_Atomic self;
	const struct link_map *map = atomic_load_explicit(&self, memory_order_relaxed);
	struct weir_object object;

	if (map)
		return map;
	for (map = &_r_debug ? _r_debug.r_map : NULL; map && map->l_ld != _DYNAMIC; map = map->l_next)
		;
	if (!map && weir_object_of(_DYNAMIC, &object))
		map = object.link_map;
	atomic_store_explicit(&self, map, memory_order_relaxed);
	return map;
}

/* The last object that was loaded with the program: found before the first dlopen, which is a hook as well. */
static WEIR_EARLY const struct link_map *_Atomic last_at_start;

static void note_start(void)
{
	const struct link_map *map = ourselves();

	while (map && map->l_next)
		map = map->l_next;
	atomic_store_explicit(&last_at_start, map, memory_order_relaxed);
}

bool weir_object_stays(const struct weir_object *object)
{
	const struct link_map *map = atomic_load_explicit(&last_at_start, memory_order_relaxed);

	/* Backwards: behind the last are those that another thread may be unloading. */
	while (map && map != object->link_map)
		map = map->l_prev;
	return map != NULL;
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

bool weir_object_is_weir(const struct weir_object *object)
{
	return is_weir(object->link_map);
}

const char *weir_own_file(void)
{
	const struct link_map *self = ourselves();

	return self ? self->l_name : NULL;
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

bool weir_is_first(const char *name)
{
	void *first = dlsym(RTLD_DEFAULT, name);

	return first && !foreign(first);
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

void *weir_find_needed(const char *name, const void *caller)
{
	struct weir_object object;

	/* Another copy of the library in front of us is no place to look: it would find itself. */
	if (!weir_object_of(caller, &object) || object.link_map == ourselves() || is_weir(object.link_map))
		return NULL;
	return in_object(object.link_map, name);
}

void *weir_find_real(const char *name, const void *caller)
{
	void *function = weir_find_needed(name, caller);

	return function ? function : foreign(dlsym(RTLD_NEXT, name));
}

/* Stands where one is not libc's. */
#define FIND_OBJECT UINT16_MAX
#define REAL(function)                                                                                                           \
	{                                                                                                                        \
#function, offsetof(struct weir_libc, function)                                                                  \
	}
static const struct {
	char name[22];
	uint16_t offset;
} real[] = {
	/* clang-format off */
	REAL(dlopen),
	REAL(connect),
	REAL(close),
	REAL(close_range),
	REAL(closefrom),
	REAL(getsockopt),
	REAL(send),
	REAL(sendto),
	REAL(sendmsg),
	REAL(write),
	REAL(writev),
	REAL(recv),
	REAL(recvfrom),
	REAL(recvmsg),
	REAL(read),
	REAL(readv),
	REAL(epoll_ctl),
	REAL(epoll_wait),
	REAL(epoll_pwait),
	REAL(epoll_pwait2),
	REAL(poll),
	REAL(ppoll),
	REAL(select),
	REAL(pselect),
	REAL(dup),
	REAL(dup2),
	REAL(dup3),
	REAL(fcntl),
	REAL(fcntl64),
	REAL(getaddrinfo),
	REAL(gethostbyname),
	REAL(gethostbyname2),
	REAL(gethostbyname_r),
	REAL(gethostbyname2_r),
	REAL(execve),
	REAL(execv),
	REAL(execvp),
	REAL(execvpe),
	REAL(fexecve),
	REAL(execveat),
	REAL(posix_spawn),
	REAL(posix_spawnp),
	REAL(system),
	REAL(popen),
	REAL(setuid),
	REAL(seteuid),
	REAL(setreuid),
	REAL(setresuid),
	REAL(setgid),
	REAL(setegid),
	REAL(setregid),
	REAL(setresgid),
	REAL(setgroups),
	REAL(initgroups),
	REAL(chroot),
	REAL(prctl),
	REAL(syscall),
	{"_dl_find_object", FIND_OBJECT},
	/* clang-format on */
};
#define REAL_COUNT (sizeof real / sizeof real[0])

WEIR_EARLY struct weir_libc weir_libc_functions;
WEIR_EARLY _Atomic bool weir_libc_found;

static const char *name_of_real(size_t i)
{
	return real[i].name;
}

static void take(size_t i, void *function)
{
	if (real[i].offset == FIND_OBJECT)
		atomic_store_explicit(&find_object, (find_object_function *)function, memory_order_relaxed);
	else
		memcpy((char *)&weir_libc_functions + real[i].offset, &function, sizeof function);
}

/* Several threads may do this at once: they all write the same values. */
__attribute__((noinline)) void weir_libc_find(void)
{
	struct weir_wanted wanted[REAL_COUNT];

	note_start();
	for (size_t i = 0; i < REAL_COUNT; i++)
		wanted[i] = (struct weir_wanted){weir_symbol_hash(real[i].name), (uint16_t)i, WEIR_MISSING};
	weir_next_symbols(ourselves(), wanted, REAL_COUNT, name_of_real, take);
	for (size_t i = 0; i < REAL_COUNT; i++) {
		if (wanted[i].found != WEIR_FOUND)
			take(i, foreign(dlsym(RTLD_NEXT, real[i].name)));
	}
	atomic_store_explicit(&weir_libc_found, true, memory_order_release);
}

__attribute__((constructor)) static void find_early(void)
{
	if (!atomic_load_explicit(&weir_libc_found, memory_order_relaxed))
		weir_libc_find();
}
