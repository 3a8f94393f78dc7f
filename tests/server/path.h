/* The paths that quotad serves, and what each of them answers when no limit is in the way. */
#ifndef QUOTAD_PATH_H
#define QUOTAD_PATH_H

#include <microhttpd.h>
#include <stdint.h>

struct path {
	int status;
	int64_t delay_ns;
	uint64_t body_bytes; /* generated body (/bytes/N) when > 0 */
	char text[1024];     /* else this one */
	char location[1024]; /* redirect, when not "" */
	int (*render)(struct MHD_Connection *, const char *method,
		      char **text); /* body made from the request; -1 without memory */
};

/* Reads a path. Unknown and malformed ones get a 404 or 400 with a reason. `https_port` 0 = no HTTPS. */
void path_read(const char *url, uint16_t https_port, struct path *out);

/* The answer, to be destroyed by the caller; NULL without memory. */
struct MHD_Response *path_response(const struct path *path, struct MHD_Connection *connection, const char *method);

#endif
