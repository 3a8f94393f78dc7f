/* SPDX-License-Identifier: MIT */
#include "src/stats/process_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "weir/log.h"

/* From /proc/PID/stat: "PID (name) state ..."; the name may hold parentheses itself. */
bool weir_process_name(uint32_t pid, char name[WEIR_PROCESS_NAME_MAX], bool *stopped)
{
	char path[40], text[400];
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	if (!open || !close || close < open || close[1] != ' ')
		return false;
	snprintf(name, WEIR_PROCESS_NAME_MAX, "%.*s", (int)(close - open - 1), open + 1);
	weir_make_printable(name, strlen(name));
	*stopped = close[2] == 'T' || close[2] == 't';
	return true;
}
