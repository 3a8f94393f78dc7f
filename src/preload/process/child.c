/* SPDX-License-Identifier: MIT */
#include "src/preload/process/child.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "src/preload/core/environment.h"
#include "src/preload/core/readable.h"
#include "weir/elf.h"
#include "weir/kernel.h"
#include "weir/log.h"
#include "weir/sandbox.h"

#define ENVIRONMENT_MAX 65536
/* Of the caller's stack: some four thousand variables. A longer environment is handed on as it is. */
#define STACK_MAX 32768
#define PRELOAD   "LD_PRELOAD="

#define DISABLE "WEIR_DISABLE="
/* An LD_PRELOAD of more is not understood. */
#define LIST_MAX   16384
#define PAGE_BYTES 4096 /* or more */

/* As much of a text as is compared with a name. *page: the last one that was found readable. */
static bool name_is_readable(const char *text, uintptr_t *page)
{
	size_t rest = PAGE_BYTES - (uintptr_t)text % PAGE_BYTES;

	if ((uintptr_t)text / PAGE_BYTES != *page && !weir_readable(text, 1))
		return false;
	*page = (uintptr_t)text / PAGE_BYTES;
	return rest >= sizeof DISABLE || memchr(text, '\0', rest) || weir_readable(text + rest, 1);
}

/* What comes as a pointer from the program may lead nowhere, which is for the kernel to say. */
static bool is_readable(char *const env[])
{
	uintptr_t page = UINTPTR_MAX;

	for (size_t i = 0; env && i < ENVIRONMENT_MAX; i++) {
		if ((i == 0 || (uintptr_t)&env[i] % PAGE_BYTES == 0) && !weir_readable(&env[i], sizeof env[i]))
			return false;
		if (!env[i])
			return true;
		if (!name_is_readable(env[i], &page))
			return false;
		if ((strncmp(env[i], PRELOAD, sizeof PRELOAD - 1) == 0 || strncmp(env[i], DISABLE, sizeof DISABLE - 1) == 0) &&
		    !weir_readable_text(env[i], LIST_MAX))
			return false;
	}
	return true;
}

/* The value of the last entry of that name, as the dynamic linker takes it, or NULL. `name` ends in '='. */
static const char *value_in(char *const env[], const char *name, size_t *at)
{
	size_t length = strlen(name);
	const char *value = NULL;

	for (size_t i = 0; env && env[i] && i < ENVIRONMENT_MAX; i++) {
		if (strncmp(env[i], name, length) == 0) {
			value = env[i] + length;
			*at = i;
		}
	}
	return value;
}

static bool is_exempt(char *const env[])
{
	size_t at;
	const char *value = value_in(env, DISABLE, &at);

	return value && value[0] != '\0' && strcmp(value, "0") != 0;
}

static bool look_at_file(const struct weir_target *t, const char *search, struct weir_executable *x)
{
	int fd;
	bool known;

	if (!t->path)
		return weir_executable_of(t->fd, search, x);
	if (t->empty_is_directory && t->path[0] == '\0')
		return weir_executable_of(t->directory, search, x);
	if (t->search) {
		fd = weir_executable_find(t->path, search, x);
		known = fd >= 0;
	} else {
		fd = (int)weir_syscall(SYS_openat, t->directory, t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		known = fd >= 0 && weir_executable_of(fd, search, x);
	}
	if (fd >= 0)
		weir_syscall(SYS_close, fd);
	return known;
}

/* What cannot be looked at may be preloaded: either exec fails, or the library is ignored. */
static bool is_fit(const struct weir_target *t)
{
	struct weir_executable x;
	const char *why;
	size_t at;

	if (!weir_filter_lets_start()) {
		weir_log(WEIR_LOG_WARN,
			 "%.200s: it runs without weir's library, unlimited: a seccomp filter of this process would kill it",
			 t->path ? t->path : "exec");
		return false;
	}
	if (!look_at_file(t, value_in(environ, "PATH=", &at), &x))
		return true;
	why = weir_elf_unfit(&x.elf);
	if (why)
		weir_log(WEIR_LOG_WARN, "%.200s: it runs without weir's library, unlimited: %s", t->path ? t->path : "exec", why);
	else if (x.set_id)
		weir_log(WEIR_LOG_WARN, "%.200s: it is set-user-ID or set-group-ID: what it does and starts is not seen",
			 t->path ? t->path : "exec");
	return !why;
}

void weir_child_look(struct weir_child *c, const struct weir_target *target, char *const env[])
{
	const char *own = weir_environment_own(), *list;
	bool there, fit;

	c->bytes = 0;
	if (!own || weir_disabled() || !is_readable(env) || (target->path && !weir_readable_text(target->path, PATH_MAX)))
		return;
	list = value_in(env, PRELOAD, &c->at);
	if (!list || list[0] == '\0' || is_exempt(env))
		return;
	there = weir_preload_names(list, own);
	fit = is_fit(target);
	if (there == fit)
		return;
	c->own = own;
	c->put = fit;
	for (c->count = 0; env[c->count] && c->count < ENVIRONMENT_MAX;)
		c->count++;
	c->bytes = weir_child_text((c->count + 1) * sizeof(char *) + sizeof PRELOAD + strlen(list) + 1 +
				   (there ? 0 : strlen(own) + 1));
}

size_t weir_child_text(size_t bytes)
{
	if (bytes <= STACK_MAX)
		return bytes;
	weir_log(WEIR_LOG_WARN, "exec: LD_PRELOAD stays as the program has set it: what goes with it is too long");
	return 0;
}

static char *append(char *to, const char *text, size_t length)
{
	memcpy(to, text, length);
	return to + length;
}

/* The list without us; returns the end of it. */
static char *put_others(char *to, const char *list, const char *own)
{
	const char *begin = to;

	for (size_t length; (length = weir_preload_item(&list)) > 0; list += length) {
		if (weir_preload_is_own(list, length, own))
			continue;
		if (to > begin)
			*to++ = ':';
		to = append(to, list, length);
	}
	return to;
}

char **weir_child_environment(const struct weir_child *c, void *memory, char *const env[])
{
	char **out = memory, *text = (char *)(out + c->count + 1), *value = append(text, PRELOAD, sizeof PRELOAD - 1),
	     *to = value;
	const char *list = env[c->at] + sizeof PRELOAD - 1;
	size_t n = 0;

	if (c->put) {
		to = append(to, c->own, strlen(c->own));
		*to++ = ':';
		to = append(to, list, strlen(list));
	} else {
		to = put_others(to, list, c->own);
	}
	*to = '\0';
	/* An entry of that name further in front is one that the dynamic linker overlooked so far. */
	for (size_t i = 0; i < c->count; i++) {
		if (strncmp(env[i], PRELOAD, sizeof PRELOAD - 1) != 0)
			out[n++] = env[i];
		else if (i == c->at && to > value)
			out[n++] = text;
	}
	out[n] = NULL;
	return out;
}
