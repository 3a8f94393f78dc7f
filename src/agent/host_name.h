/* SPDX-License-Identifier: MIT */
/* Hosts as people name them: "api.example.org", "api.example.org:443", "[::1]:8080", a group's name, a URL. */
#ifndef WEIR_AGENT_HOST_NAME_H
#define WEIR_AGENT_HOST_NAME_H

#include <stdbool.h>

#include "weir/segment.h"

/* Brings a name into the form of the segment's keys. What stands behind '#', a narrowed rule's name, stays as it is. Returns NULL
 * or what is wrong with it. */
const char *weir_host_name(const char *text, char out[WEIR_KEY_MAX]);

enum weir_host_found { WEIR_HOST_FOUND, WEIR_HOST_UNKNOWN, WEIR_HOST_SEVERAL };

/* Finds the one entry that a name in that form means: the key itself, or a host of which one port is known. Copies its key. With
 * SEVERAL, `key` holds two of the keys, for the message. */
enum weir_host_found weir_host_find(const struct weir_segment *s, const char *name, char key[2 * WEIR_KEY_MAX + 2]);

#endif
