/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "weir/queue.h"

static const char names[WEIR_CLASSES][8] = {
	[WEIR_CLASS_HIGH] = "high",
	[WEIR_CLASS_NORMAL] = "normal",
	[WEIR_CLASS_LOW] = "low",
};

const char *weir_class_name(unsigned class)
{
	return names[class < WEIR_CLASSES ? class : (unsigned)WEIR_CLASS_NORMAL];
}

bool weir_class_parse(const char *text, unsigned *class)
{
	for (unsigned c = 0; c < WEIR_CLASSES; c++)
		if (strcmp(text, names[c]) == 0) {
			*class = c;
			return true;
		}
	return false;
}
