/* SPDX-License-Identifier: MIT */
/* What outlives a reboot: XDG Base Directory Specification, XDG_STATE_HOME; for root, file-hierarchy(7), /var/lib. */
#include "weir/runtime.h"

#include <string.h>
#include <sys/stat.h>

#include "src/runtime/path.h"
#include "weir/kernel.h"

static bool is_ours(const char *dir, uid_t uid)
{
	struct stat st;

	return weir_stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid;
}

/* Makes the directories between the home, which is there, and ours. Who cannot will notice when ours cannot be made. */
static bool below_home(const char *home, uid_t uid, char out[WEIR_PATH_MAX])
{
	char between[WEIR_PATH_MAX];

	if (!is_ours(home, uid) || !weir_path_join(between, home, "/.local", ""))
		return false;
	(void)weir_mkdir(between, 0700);
	if (!weir_path_join(between, home, "/.local/state", ""))
		return false;
	(void)weir_mkdir(between, 0700);
	return weir_path_join(out, between, "/weir", "");
}

const char *weir_state_directory(const struct weir_environment *e, char out[WEIR_PATH_MAX], int *err)
{
	char home[WEIR_PATH_MAX];
	bool good;

	*err = 0;
	out[0] = '\0';
	if (weir_path_given(e->xdg_state_home) && e->xdg_state_home[0] == '/' && is_ours(e->xdg_state_home, e->uid))
		good = weir_path_join(out, e->xdg_state_home, "/weir", "");
	else if (e->uid == 0)
		good = weir_path_join(out, "/var/lib/weir", "", "");
	else if (weir_path_given(e->home) && e->home[0] == '/')
		good = below_home(e->home, e->uid, out);
	else
		good = weir_home_of(e->uid, home) && below_home(home, e->uid, out);
	return good ? weir_runtime_prepare(out, e->uid, err) : "there is no home for it";
}
