/* SPDX-License-Identifier: MIT */
/*
 * Programs that ask again by themselves. Weir's own attempts would multiply theirs, so it stands back for them: for a curl that
 * was told to on its command line, from the first; for others once they are seen to ask for a URL again whose failure has been
 * handed over to them a short time ago.
 *
 * Of a URL a digest is kept, in the process.
 */
#ifndef WEIR_CURL_REPEATS_H
#define WEIR_CURL_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this process is known to ask again for that URL. */
bool weir_repeats(const char *url, uint64_t now_ns);

/* A failure to get that URL is handed over to the program. */
void weir_repeats_note(const char *url, uint64_t now_ns);

#endif
