/* SPDX-License-Identifier: MIT */
/*
 * The world: where the runtime directory is and what the files in it are called.
 *
 * The files of the chain that came first in a runtime directory have plain names, as most directories only ever see one; those of
 * every other have its key behind them. Who was first is written down, once and for ever, in a symbolic link: making one is a
 * single step that one process wins, and whoever comes to a world by its key comes to the same names again.
 */
#include "weir/kernel.h"
#include "weir/runtime.h"

#include <string.h>
#include <sys/stat.h>

#include "weir/log.h"

#include "src/runtime/chain.h"
#include "src/runtime/path.h"

#define CLAIM     "/chain"
#define CLAIM_MAX 17 /* 0123456789abcdef */
#define FNV_PRIME 0x100000001b3ULL

/* A world is named by all that it must not share with another one. */
struct parts {
	uint64_t chain; /* of the configuration */
	uint64_t clock; /* all times in the segment are of one clock */
};

static void hex(uint64_t number, char out[CLAIM_MAX])
{
	weir_format(out, CLAIM_MAX, "%016llx", (unsigned long long)number);
}

static bool put_names(struct weir_world *w)
{
	return weir_path_join(w->segment, w->dir, "/state.1", w->suffix) &&
	       weir_path_join(w->socket, w->dir, "/weir.sock", w->suffix) &&
	       weir_path_join(w->lock, w->dir, "/agent.lock", w->suffix) &&
	       weir_path_join(w->pid, w->dir, "/agent.pid", w->suffix);
}

static void put_suffix(struct weir_world *w)
{
	w->suffix[0] = '.';
	hex(w->key, w->suffix + 1);
}

/* Whether the names without a suffix are those of this world: reads $RUNTIME/chain, a symbolic link to nowhere that says whose
 * they are. True also where there is none (yet). */
static bool has_plain_names(const struct weir_world *w)
{
	char path[WEIR_PATH_MAX], claim[CLAIM_MAX + 1], own[CLAIM_MAX];
	long n;

	if (!weir_path_join(path, w->dir, CLAIM, ""))
		return true;
	n = weir_syscall(SYS_readlinkat, AT_FDCWD, path, claim, sizeof claim);
	if (n < 0)
		return errno != EINVAL;
	hex(w->key, own);
	return n == CLAIM_MAX - 1 && memcmp(claim, own, CLAIM_MAX - 1) == 0;
}

/* Takes the names without a suffix for this world, if nobody has. */
static void claim_plain_names(const struct weir_world *w)
{
	char path[WEIR_PATH_MAX], own[CLAIM_MAX];

	hex(w->key, own);
	if (weir_path_join(path, w->dir, CLAIM, ""))
		weir_syscall(SYS_symlinkat, own, AT_FDCWD, path);
}

/* The key, and whether it must show in the names whoever was first: a named configuration and another clock do. */
static const char *key_of(const struct weir_environment *e, struct weir_world *w)
{
	struct parts p = {.chain = weir_chain_hash(e), .clock = weir_clock_offset()};

	if (weir_path_given(e->config) && !weir_path_absolute(w->config, e->config))
		return "WEIR_CONFIG: the path is too long, or the working directory is gone";
	w->key = p.chain + p.clock * FNV_PRIME;
	w->shares_names = w->config[0] == '\0' && p.clock == 0;
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
	int saved = errno;
	const char *wrong;

	memset(w, 0, sizeof *w);
	wrong = key_of(e, w);
	if (!wrong)
		wrong = directory_of(e, w->dir);
	if (wrong)
		return wrong;
	if (!w->shares_names || !has_plain_names(w))
		put_suffix(w);
	errno = saved;
	return put_names(w) ? NULL : "the runtime directory's path is too long";
}

const char *weir_world_prepare(struct weir_world *w, uid_t uid, int *err)
{
	const char *wrong = weir_runtime_prepare(w->dir, uid, err);
	int saved = errno;

	if (wrong || !w->shares_names || w->suffix[0] != '\0')
		return wrong;
	claim_plain_names(w);
	if (!has_plain_names(w)) {
		put_suffix(w);
		if (!put_names(w))
			wrong = "is too long a path";
	}
	errno = saved;
	return wrong;
}

bool weir_world_named(const char *dir, const char *suffix, struct weir_world *w)
{
	memset(w, 0, sizeof *w);
	if (strlen(suffix) >= sizeof w->suffix || !weir_path_join(w->dir, dir, "", ""))
		return false;
	memcpy(w->suffix, suffix, strlen(suffix) + 1);
	return put_names(w);
}
