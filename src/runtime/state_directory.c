/* SPDX-License-Identifier: MIT */
/* What outlives a reboot: XDG Base Directory Specification, XDG_STATE_HOME; for root, file-hierarchy(7), /var/lib. */
#include "weir/runtime.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "src/runtime/path.h"
#include "weir/kernel.h"

#define STATE_BELOW_HOME "/.local/state/weir"

static bool is_ours(const char *dir, uid_t uid)
{
	struct stat st;

	return weir_stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid;
}

/* Whoever's environment root has come by (sudo -E): another user's is not his. One that is yet to be made may be. */
static bool may_be_ours(const char *dir, uid_t uid)
{
	struct stat st;

	return is_ours(dir, uid) || (weir_stat(dir, &st) != 0 && errno == ENOENT);
}

bool weir_state_path(const struct weir_environment *e, char out[WEIR_PATH_MAX])
{
	if (weir_path_given(e->xdg_state_home) && e->xdg_state_home[0] == '/' && may_be_ours(e->xdg_state_home, e->uid))
		return weir_path_join(out, e->xdg_state_home, "/weir", "");
	if (e->uid == 0)
		return weir_path_join(out, "/var/lib/weir", "", "");
	if (weir_path_given(e->home) && e->home[0] == '/')
		return weir_path_join(out, e->home, STATE_BELOW_HOME, "");
	if (!weir_home_of(e->uid, out) || strlen(out) + sizeof STATE_BELOW_HOME > WEIR_PATH_MAX)
		return false;
	memcpy(out + strlen(out), STATE_BELOW_HOME, sizeof STATE_BELOW_HOME);
	return true;
}

/* Makes the directories that ours lies in: two at most (.local, state), so that no home is made where there is none. Who cannot
 * will notice when ours cannot be made. */
static void make_above(char *path)
{
	char *cut[2] = {NULL, NULL};

	for (int i = 0; i < 2; i++) {
		cut[i] = strrchr(path, '/');
		if (!cut[i] || cut[i] == path)
			break;
		*cut[i] = '\0';
	}
	for (int i = 1; i >= 0; i--) {
		if (!cut[i] || *cut[i] != '\0')
			continue;
		(void)weir_mkdir(path, 0700);
		*cut[i] = '/';
	}
}

const char *weir_state_directory(const struct weir_environment *e, char out[WEIR_PATH_MAX], int *err)
{
	*err = 0;
	out[0] = '\0';
	if (!weir_state_path(e, out)) {
		out[0] = '\0';
		return "there is no home for it";
	}
	make_above(out);
	return weir_runtime_prepare(out, e->uid, err);
}
