#include "tests/harness/same.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/failure.h"

#define SHOWN_BYTES 1500

static bool same_text(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	return a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0;
}

static const char *difference(const struct outcome *bare, const struct outcome *weir, enum same what)
{
	if (bare->exit_status != weir->exit_status || bare->signal != weir->signal)
		return "exit status";
	if (!same_text(bare->out, bare->out_bytes, weir->out, weir->out_bytes))
		return "stdout";
	if (what == SAME_OUTPUT_AND_ERRORS && !same_text(bare->err, bare->err_bytes, weir->err, weir->err_bytes))
		return "stderr";
	if (weir->output_held && !bare->output_held)
		return "who keeps its output open";
	return NULL;
}

void same_with_and_without_weir(const struct command *c, enum same what, void (*before)(void *data), void *data, const char *file,
				int line)
{
	struct command variant = *c;
	struct outcome bare;
	struct outcome weir;
	const char *differs;

	if (before != NULL)
		before(data);
	variant.mode = COMMAND_BARE;
	bare = command_run(&variant);
	if (before != NULL)
		before(data);
	variant.mode = COMMAND_UNDER_WEIR;
	weir = command_run(&variant);
	differs = difference(&bare, &weir, what);
	if (differs != NULL)
		harness_fail_at(file, line,
				"%s: %s differs\n"
				"--- bare: exit %d, signal %d, %.3f s\n%.*s\n%.*s\n"
				"--- under weir: exit %d, signal %d, %.3f s\n%.*s\n%.*s",
				c->argv != NULL ? c->argv[0] : c->shell, differs, bare.exit_status, bare.signal, bare.seconds,
				SHOWN_BYTES, bare.out, SHOWN_BYTES, bare.err, weir.exit_status, weir.signal, weir.seconds,
				SHOWN_BYTES, weir.out, SHOWN_BYTES, weir.err);
	outcome_free(&bare);
	outcome_free(&weir);
}
