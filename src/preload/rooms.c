/* SPDX-License-Identifier: MIT */
/* The rooms that want to be told of the process's life, and the end of it: see core/room.h. */
#include <errno.h>
#include <stddef.h>

#include "src/preload/core/flight.h"
#include "src/preload/core/room.h"
#include "src/preload/curl/kept.h"
#include "src/preload/process/agent_start.h"
#include "src/preload/socket/conversation.h"
#include "src/preload/socket/pending.h"

const struct weir_room *const weir_rooms[] = {&weir_multi_room, &weir_pending_room, &weir_conversation_room, &weir_agent_room,
					      NULL};

/* The process ends by itself: what it leaves under way is settled. A process that is killed or that calls _exit is reaped. */
__attribute__((destructor)) static void leave(void)
{
	int saved = errno;

	weir_flight_abandon();
	weir_rooms_finish();
	errno = saved;
}
