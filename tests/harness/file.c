#include "tests/harness/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/failure.h"
#include "tests/harness/temp_dir.h"

char *write_file(const char *dir, const char *name, const char *text)
{
	char *path = path_in(dir, name);
	size_t bytes = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes)
		harness_fail("cannot write %s: %s", path, strerror(errno));
	close(fd);
	return path;
}

char *read_file(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t bytes = 0;
	char block[4096];
	size_t got;
	bool failed;
	FILE *out;

	if (in == NULL)
		return NULL;
	out = open_memstream(&text, &bytes);
	if (out == NULL)
		harness_fail("no memory");
	while ((got = fread(block, 1, sizeof block, in)) > 0)
		fwrite(block, 1, got, out);
	failed = ferror(in) != 0;
	fclose(in);
	fclose(out);
	if (failed) {
		free(text);
		return NULL;
	}
	return text;
}
