/* SPDX-License-Identifier: MIT */
/* The world: where the runtime directory is and what the files in it are called. */
#include "weir/kernel.h"
#include "weir/runtime.h"

#include <string.h>
#include <sys/stat.h>

#include "weir/log.h"

#include "src/runtime/path.h"

#define SUFFIX_MAX 20 /* ".0123456789abcdef" */

#define FNV_PRIME 0x100000001b3ULL

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
static unsigned long long fnv1a(const char *text)
{
	unsigned long long hash = 0xcbf29ce484222325ULL;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * FNV_PRIME;
	return hash;
}

/* Another configuration is another world, and so is another clock, as all times in the segment are of one: its files carry the
 * hash of the configuration's path, and the clock's offset in it. */
static const char *suffix_of(const struct weir_environment *e, struct weir_world *w, char suffix[SUFFIX_MAX])
{
	uint64_t clock = weir_clock_offset();

	if (weir_path_given(e->config) && !weir_path_absolute(w->config, e->config))
		return "WEIR_CONFIG: the path is too long, or the working directory is gone";
	if (w->config[0] != '\0' || clock != 0)
		weir_format(suffix, SUFFIX_MAX, ".%016llx", fnv1a(w->config) + clock * FNV_PRIME);
	return NULL;
}

static bool is_ours(const char *dir, uid_t uid, struct stat *st)
{
	return weir_stat(dir, st) == 0 && S_ISDIR(st->st_mode) && st->st_uid == uid;
}

/* A relative XDG_RUNTIME_DIR is to be ignored: XDG Base Directory Specification, "Basics". So is another user's, which sudo -E
 * and su leave behind: what root makes there its owner can neither use nor remove. */
static bool xdg_counts(const struct weir_environment *e)
{
	struct stat st;

	return weir_path_given(e->xdg_runtime_dir) && e->xdg_runtime_dir[0] == '/' && is_ours(e->xdg_runtime_dir, e->uid, &st);
}

static const char *directory_of(const struct weir_environment *e, char dir[WEIR_PATH_MAX])
{
	struct stat st;
	char uid[16];

	if (weir_path_given(e->runtime_dir)) {
		/* Taken from each process's working directory it would be many worlds, and limits would silently not be shared.
		 */
		if (e->runtime_dir[0] != '/')
			return "WEIR_RUNTIME_DIR: not an absolute path";
		return weir_path_absolute(dir, e->runtime_dir) ? NULL : "WEIR_RUNTIME_DIR: the path is too long";
	}
	if (xdg_counts(e)) {
		if (!weir_path_absolute(dir, e->xdg_runtime_dir) || strlen(dir) + sizeof "/weir" > WEIR_PATH_MAX)
			return "XDG_RUNTIME_DIR: the path is too long";
		memcpy(dir + strlen(dir), "/weir", sizeof "/weir");
		return NULL;
	}
	if (e->uid == 0)
		return weir_path_join(dir, "/run/weir", "", "") ? NULL : "cannot happen";
	weir_format(uid, sizeof uid, "%u", (unsigned)e->uid);
	/* Where pam_systemd puts XDG_RUNTIME_DIR: cron jobs, which lack the variable, share the world of the login. */
	if (weir_path_join(dir, "/run/user/", uid, "") && is_ours(dir, e->uid, &st) && (st.st_mode & 0777) == 0700)
		return weir_path_join(dir, "/run/user/", uid, "/weir") ? NULL : "cannot happen";
	return weir_path_join(dir, "/tmp/weir-", uid, "") ? NULL : "cannot happen";
}

const char *weir_world_of(const struct weir_environment *e, struct weir_world *w)
{
	static const char *const too_long = "the runtime directory's path is too long";
	char suffix[SUFFIX_MAX] = "";
	const char *wrong;

	memset(w, 0, sizeof *w);
	wrong = suffix_of(e, w, suffix);
	if (!wrong)
		wrong = directory_of(e, w->dir);
	if (wrong)
		return wrong;
	if (!weir_path_join(w->segment, w->dir, "/state.1", suffix) || !weir_path_join(w->socket, w->dir, "/weir.sock", suffix) ||
	    !weir_path_join(w->lock, w->dir, "/agent.lock", suffix) || !weir_path_join(w->pid, w->dir, "/agent.pid", suffix))
		return too_long;
	return NULL;
}
