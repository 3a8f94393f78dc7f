/* SPDX-License-Identifier: MIT */
#include "src/preload/core/room.h"

#include <stddef.h>

void weir_rooms_mapped(const struct weir_segment *s)
{
	for (const struct weir_room *const *r = weir_rooms; *r; r++) {
		if ((*r)->mapped)
			(*r)->mapped(s);
	}
}

#define TELL(what)                                                                                                               \
	void weir_rooms_##what(void)                                                                                             \
	{                                                                                                                        \
		for (const struct weir_room *const *r = weir_rooms; *r; r++) {                                                   \
			if ((*r)->what)                                                                                          \
				(*r)->what();                                                                                    \
		}                                                                                                                \
	}

TELL(damaged)
TELL(forget)
TELL(sweep)
TELL(thread_over)
TELL(finish)
