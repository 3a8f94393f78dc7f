/* SPDX-License-Identifier: MIT */
/* The chain of configuration files. */
#include "weir/runtime.h"

#include "src/runtime/path.h"

/* $XDG_CONFIG_HOME, else $HOME/.config; relative values are ignored, as the XDG Base Directory Specification wants it. */
static bool user_file(const struct weir_environment *e, char out[WEIR_PATH_MAX])
{
	if (weir_path_given(e->xdg_config_home) && e->xdg_config_home[0] == '/')
		return weir_path_join(out, e->xdg_config_home, "/weir/weir.conf", "");
	if (weir_path_given(e->home) && e->home[0] == '/')
		return weir_path_join(out, e->home, "/.config/weir/weir.conf", "");
	return false;
}

size_t weir_config_chain(const struct weir_environment *e, char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX])
{
	size_t count = 0;

	/* WEIR_CONFIG replaces the whole chain. */
	if (weir_path_given(e->config))
		return weir_path_absolute(chain[0], e->config) ? 1 : 0;
	count += weir_path_join(chain[count], WEIR_CONFDIR, "/weir.conf", "") ? 1 : 0;
	count += weir_path_join(chain[count], WEIR_CONFDIR, "/conf.d", "") ? 1 : 0;
	count += user_file(e, chain[count]) ? 1 : 0;
	return count;
}
