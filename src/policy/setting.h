/* SPDX-License-Identifier: MIT */
/*
 * One setting of a file: what it is called, where it stands, what it says.
 *
 * libconfig converts numbers by itself and wraps those that are too large without a word (4294967297 becomes 1), joins strings
 * that stand side by side, and leaks a string that a syntax error follows. So neither reaches it: the scan puts each literal into
 * the document's `literals` and its offset there into the text that libconfig parses. Numbers are then read by the parser of
 * units.h, exactly, and a finding can quote what was written.
 */
#ifndef WEIR_POLICY_SETTING_H
#define WEIR_POLICY_SETTING_H

#include "src/policy/compilation.h"

/* The first byte of a literal; its text, ended by NUL, follows. */
#define WEIR_LITERAL_STRING '"'
#define WEIR_LITERAL_NUMBER '0'

struct weir_setting {
	struct weir_compilation *c;
	uint32_t document;
	const config_setting_t *setting;
	char path[128]; /* "hosts[2].rate.max" */
};

/* The file's root, and the i-th child of a group, list or array. */
struct weir_setting weir_setting_root(struct weir_compilation *c, uint32_t document);
struct weir_setting weir_setting_child(const struct weir_setting *parent, unsigned i);

/* The child of this name; false when there is none. */
bool weir_setting_member(const struct weir_setting *group, const char *name, struct weir_setting *out);

unsigned weir_setting_children(const struct weir_setting *s);
bool weir_setting_is_group(const struct weir_setting *s);
bool weir_setting_is_list(const struct weir_setting *s); /* ( ) or [ ] */
const char *weir_setting_name(const struct weir_setting *s);
struct weir_place weir_setting_place(const struct weir_setting *s);

/* Its text when it is a string, NULL when it is anything else. */
const char *weir_setting_text(const struct weir_setting *s);

/* Its digits, as they were written, when it is a number; NULL when it is anything else. */
const char *weir_setting_number(const struct weir_setting *s);

/* Reports "expected WHAT, got VALUE (WHY)". why may be NULL. Returns false, so that a reader can return it. */
bool weir_setting_expected(const struct weir_setting *s, const char *what, const char *why);

/* Reports a key that does not exist, with the one that was probably meant. names: NULL-terminated. */
void weir_setting_unknown(const struct weir_setting *s, const char *const names[]);

/* suggestion.c: the name nearest to a word, or NULL when none is near. */
const char *weir_suggestion(const char *word, const char *const names[]);

/* value.c: read a value of a kind between min and max; report and return false when it is none. */
bool weir_value_count(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *out);
bool weir_value_permille(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *out);
bool weir_value_duration(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *ns);
bool weir_value_window(const struct weir_setting *s, uint64_t min, uint64_t max, uint64_t *out);
bool weir_value_rate(const struct weir_setting *s, bool or_none, uint64_t *nano_per_s);
bool weir_value_bool(const struct weir_setting *s, bool *out);
bool weir_value_word(const struct weir_setting *s, const char *const names[], uint64_t *index);

/* A window is so many ns, or, with this bit, so many calls. */
#define WEIR_VALUE_CALLS (UINT64_C(1) << 63)

/* value.c: the same, printed so that it reads back as exactly the same value. size >= WEIR_VALUE_MAX. */
#define WEIR_VALUE_MAX 48
void weir_value_print_permille(uint64_t permille, char *out, size_t size);
void weir_value_print_duration(uint64_t ns, char *out, size_t size);
void weir_value_print_rate(uint64_t nano_per_s, char *out, size_t size);

#endif
