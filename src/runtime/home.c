/* SPDX-License-Identifier: MIT */
/* The home directory of a user as /etc/passwd has it: passwd(5). Not getpwuid, which would load modules into the host process. */
#include "weir/kernel.h"
#include "weir/runtime.h"

#include <string.h>

#define FILE_NAME "/etc/passwd"
#define BYTES_MAX (1L << 20) /* read at most */
#define UID_FIELD 2
#define HOME      5

/* One line, byte by byte. */
struct line {
	unsigned field;
	uint64_t uid;
	bool uid_good;
	size_t length;
	char *home;
};

static void begin(struct line *l)
{
	l->field = 0;
	l->uid = 0;
	l->uid_good = false;
	l->length = 0;
}

static void take(struct line *l, char c)
{
	if (c == ':') {
		l->field++;
	} else if (l->field == UID_FIELD) {
		l->uid_good = c >= '0' && c <= '9' && l->uid <= UINT32_MAX;
		l->uid = l->uid * 10 + (uint64_t)(c - '0');
		if (!l->uid_good)
			l->field = HOME + 1; /* the rest of the line is of no use */
	} else if (l->field == HOME && l->length < WEIR_PATH_MAX) {
		l->home[l->length++] = c;
	}
}

/* At the end of a line: whether it is the user's, and its directory can be used. */
static bool is_of(struct line *l, uid_t uid)
{
	if (!l->uid_good || l->uid != uid || l->length == 0 || l->length >= WEIR_PATH_MAX || l->home[0] != '/')
		return false;
	l->home[l->length] = '\0';
	return true;
}

bool weir_home_of(uid_t uid, char out[WEIR_PATH_MAX])
{
	struct line l = {.home = out};
	char block[256];
	bool found = false;
	long got, all = 0;
	int fd = weir_open(FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);

	out[0] = '\0';
	if (fd < 0)
		return false;
	begin(&l);
	while (!found && all < BYTES_MAX && (got = weir_read(fd, block, sizeof block)) > 0) {
		all += got;
		for (long i = 0; i < got && !found; i++) {
			if (block[i] != '\n') {
				take(&l, block[i]);
				continue;
			}
			found = is_of(&l, uid);
			if (!found)
				begin(&l);
		}
	}
	found = found || is_of(&l, uid); /* a last line without its end */
	weir_close(fd);
	if (!found)
		out[0] = '\0';
	return found;
}
