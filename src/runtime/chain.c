/* SPDX-License-Identifier: MIT */
/* The chain of configuration files, and what tells one chain from another. */
#include "src/runtime/chain.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "src/runtime/path.h"
#include "weir/kernel.h"
#include "weir/log.h"
#include "weir/runtime.h"

#define BELOW     "/weir/weir.conf"
#define FRAGMENTS "/conf.d"
#define FNV_START 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

static bool append(char path[WEIR_PATH_MAX], const char *rest)
{
	size_t length = strcmp(path, "/") == 0 ? 0 : strlen(path), more = strlen(rest) + 1;

	if (length + more > WEIR_PATH_MAX)
		return false;
	memcpy(path + length, rest, more);
	return true;
}

/* $XDG_CONFIG_HOME, else $HOME/.config; relative values are ignored, as the XDG Base Directory Specification wants it. Who has no
 * HOME (a unit, a cron job) has the one of the login. */
static bool user_file(const struct weir_environment *e, char out[WEIR_PATH_MAX])
{
	if (weir_path_given(e->xdg_config_home) && e->xdg_config_home[0] == '/')
		return weir_path_absolute(out, e->xdg_config_home) && append(out, BELOW);
	if (weir_path_given(e->home) && e->home[0] == '/')
		return weir_path_absolute(out, e->home) && append(out, "/.config" BELOW);
	return weir_home_of(e->uid, out) && append(out, "/.config" BELOW);
}

/* The user's conf.d, beside the user's file. */
static bool user_fragments(const struct weir_environment *e, char out[WEIR_PATH_MAX])
{
	if (!user_file(e, out))
		return false;
	*strrchr(out, '/') = '\0';
	return append(out, FRAGMENTS);
}

size_t weir_config_chain(const struct weir_environment *e, char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX])
{
	size_t count = 0;

	/* WEIR_CONFIG replaces the whole chain. */
	if (weir_path_given(e->config))
		return weir_path_absolute(chain[0], e->config) ? 1 : 0;
	count += weir_path_join(chain[count], WEIR_CONFDIR, "/weir.conf", "") ? 1 : 0;
	count += weir_path_join(chain[count], WEIR_CONFDIR, "/conf.d", "") ? 1 : 0;
	count += user_fragments(e, chain[count]) ? 1 : 0;
	count += user_file(e, chain[count]) ? 1 : 0;
	return count;
}

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t with_bytes(uint64_t hash, const void *bytes, size_t length)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ at[i]) * FNV_PRIME;
	return hash;
}

uint64_t weir_hash_text(const char *text)
{
	return with_bytes(FNV_START, text, strlen(text));
}

/* The user's file by what it is: its last three components (.config/weir/weir.conf) in the directory that they lie in, normally
 * the home. A home that has several names (a symbolic link, "..") makes one world; and where it is hidden (ProtectHome, a
 * container, another disk) the same path leads to other files. Not by the configuration directory itself, which may be made
 * later. */
static uint64_t with_user_file(uint64_t hash, char *file)
{
	char *tail = file + strlen(file);
	uint64_t sight[2];
	struct stat st;

	for (int i = 0; i < 3; i++) {
		while (tail > file && *--tail != '/')
			;
	}
	hash = with_bytes(hash, tail, strlen(tail) + 1);
	*tail = '\0';
	if (tail == file)
		return hash;
	if (weir_stat(file, &st) != 0)
		return with_bytes(hash, file, strlen(file) + 1);
	sight[0] = st.st_dev;
	sight[1] = st.st_ino;
	return with_bytes(hash, sight, sizeof sight);
}

/* The file that the name leads to, as the kernel calls it: by whatever links and ways it is named, it is one world. The name
 * itself where it leads nowhere yet, or nobody can tell (no /proc). */
__attribute__((noinline)) static void resolve(char file[WEIR_PATH_MAX])
{
	int fd = weir_open(file, O_PATH | O_CLOEXEC, 0);
	char name[40], found[WEIR_PATH_MAX];
	long length = -1;

	if (fd < 0)
		return;
	weir_format(name, sizeof name, "/proc/self/fd/%d", fd);
	length = weir_syscall(SYS_readlinkat, AT_FDCWD, name, found, sizeof found);
	weir_close(fd);
	if (length <= 0 || (size_t)length >= sizeof found || found[0] != '/')
		return;
	memcpy(file, found, (size_t)length);
	file[length] = '\0';
}

uint64_t weir_chain_hash(const struct weir_environment *e)
{
	char file[WEIR_PATH_MAX];
	uint64_t hash;

	if (weir_path_given(e->config)) {
		if (!weir_path_absolute(file, e->config))
			return 0;
		resolve(file);
		return weir_hash_text(file);
	}
	hash = with_bytes(FNV_START, WEIR_CONFDIR, sizeof WEIR_CONFDIR);
	if (user_file(e, file))
		hash = with_user_file(hash, file);
	return hash;
}
