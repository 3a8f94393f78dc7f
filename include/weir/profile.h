/* SPDX-License-Identifier: MIT */
/*
 * Profiles: all thresholds of a rule in one word. balanced is what holds where nothing is said; polite asks little of a host and
 * waits long; eager wants answers soon and gives a host up late. What each costs and gains: docs/configuration.md.
 */
#ifndef WEIR_PROFILE_H
#define WEIR_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/rule.h"

enum weir_profile { WEIR_PROFILE_POLITE, WEIR_PROFILE_BALANCED, WEIR_PROFILE_EAGER, WEIR_PROFILES };

/* Puts the profile's values into a rule: how a rate is learned, concurrency, breaker, waits and retries. What says which hosts,
 * how many requests, and whether anything is asked again at all, stays. The burst of a fixed rate stays, too. */
void weir_rule_profile(struct weir_rule *r, enum weir_profile profile);

/* How many attempts in all `retry = true` means with this profile. */
uint32_t weir_profile_attempts(enum weir_profile profile);

/* "polite", "balanced", "eager"; "?" for what is none. */
const char *weir_profile_name(unsigned profile);

/* Whether the text is one of them; then *out. */
bool weir_profile_parse(const char *text, enum weir_profile *out);

#endif
