/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "weir/runtime.h"

bool weir_maps_line_is(const char *line, dev_t device, ino_t inode, const char *name)
{
	unsigned long long found;
	unsigned above, below;

	if (inode == 0 || sscanf(line, "%*s %*s %*s %x:%x %llu", &above, &below, &found) != 3 || found != inode)
		return false;
	return (major(device) == above && minor(device) == below) || strstr(line, name) != NULL;
}
