/* SPDX-License-Identifier: MIT */
#include "src/cli/environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/usage.h"
#include "weir/log.h"

struct weir_environment weir_environment_read(void)
{
	struct weir_environment e = {
		.runtime_dir = secure_getenv("WEIR_RUNTIME_DIR"),
		.xdg_runtime_dir = secure_getenv("XDG_RUNTIME_DIR"),
		.config = secure_getenv("WEIR_CONFIG"),
		.xdg_config_home = secure_getenv("XDG_CONFIG_HOME"),
		.home = secure_getenv("HOME"),
		.xdg_state_home = secure_getenv("XDG_STATE_HOME"),
		.uid = geteuid(),
	};
	return e;
}

const char *weir_environment_find_world(struct weir_environment *e, struct weir_world *w)
{
	*e = weir_environment_read();
	const char *why = weir_world_of(e, w);
	if (why)
		return why;
	/* Agent and command work in directories of their own, where a relative path would be another file. */
	if (w->config[0]) {
		setenv("WEIR_CONFIG", w->config, 1);
		*e = weir_environment_read();
	}
	return NULL;
}

bool weir_environment_world(struct weir_environment *e, struct weir_world *w)
{
	const char *why = weir_environment_find_world(e, w);
	if (why)
		weir_complain("runtime directory", "%s", why);
	return !why;
}

bool weir_environment_agent_off(void)
{
	const char *agent = secure_getenv("WEIR_AGENT");
	return agent && strcmp(agent, "off") == 0;
}

void weir_environment_log(void)
{
	const char *spec = secure_getenv("WEIR_LOG");
	const char *why = spec && spec[0] ? weir_log_setup(spec) : NULL;
	if (why)
		weir_complain("WEIR_LOG", "%s", why);
}

bool weir_environment_color(int fd)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	if (no_color && no_color[0])
		return false;
	return term && term[0] && strcmp(term, "dumb") != 0 && isatty(fd);
}
