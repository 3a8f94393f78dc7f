/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "src/cli/environment.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "src/cli/verified.h"
#include "weir/log.h"
#include "weir/policy.h"
#include "weir/segment.h"

/* The files that are meant: the one that was named, else the chain. Returns how many. */
static size_t find_chain(const char *file, char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX])
{
	struct weir_environment e = weir_environment_read();
	if (file) {
		if (strlen(file) >= WEIR_PATH_MAX)
			return 0;
		e.config = file;
	}
	return weir_config_chain(&e, chain);
}

/* Compiles; complains about every finding and returns false when there are any. */
static bool compile(const char *file, struct weir_policy *policy)
{
	char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];
	struct weir_environment e = weir_environment_read();
	struct weir_findings findings;
	memset(&findings, 0, sizeof findings);
	memset(policy, 0, sizeof *policy);
	size_t count = find_chain(file, chain);
	if (count == 0 && file) {
		weir_complain("config", "the path is too long");
		return false;
	}
	bool named = file || (e.config && e.config[0]);
	bool good = weir_policy_compile(chain, count, named, policy, &findings);
	if (good && policy->rule_count > WEIR_RULES_DEFAULT) {
		weir_complain("config", "%u rules are more than the %u that there is room for", policy->rule_count,
			      WEIR_RULES_DEFAULT);
		good = false;
	}
	for (size_t i = 0; i < findings.count; i++)
		weir_complain("config", "%s", findings.line[i]);
	if (!good && findings.count == 0 && policy->rule_count == 0)
		weir_complain("config", "out of memory");
	weir_findings_free(&findings);
	for (uint32_t i = 0; good && i < policy->source_count; i++) {
		char text[WEIR_LEFT_OUT_MAX];
		if (weir_policy_left_out(policy, i, text))
			weir_complain("config", "%s", text);
	}
	if (!good)
		weir_policy_free(policy);
	return good;
}

static int check(const char *file)
{
	struct weir_policy policy;
	if (!compile(file, &policy))
		return WEIR_EXIT_FAILED;
	unsigned files = 0;
	for (uint32_t i = 0; i < policy.source_count; i++) {
		if (policy.sources[i].inode == 0 || (policy.left_out >> i & 1))
			continue;
		weir_put_printable(policy.sources[i].path, stdout);
		putchar('\n');
		files++;
	}
	if (files == 0)
		puts("no configuration file: the built-in defaults hold");
	weir_verified_warn(&policy, time(NULL));
	printf("ok: %u rule%s\n", policy.rule_count, policy.rule_count == 1 ? "" : "s");
	bool whole = policy.left_out == 0;
	weir_policy_free(&policy);
	return whole ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
}

static int show(void)
{
	struct weir_policy policy;
	if (!compile(NULL, &policy))
		return WEIR_EXIT_FAILED;
	for (size_t i = 0; i < policy.origin_count; i++) {
		const struct weir_origin *o = &policy.origins[i];
		weir_put_printable(o->key, stdout);
		fputs(" = ", stdout);
		weir_put_printable(o->value, stdout);
		size_t n = strlen(o->key) + strlen(o->value) + sizeof " = ;" - 1;
		printf(";%*s # ", n < 55 ? (int)(55 - n) : 0, "");
		weir_put_printable(o->source, stdout);
		putchar('\n');
	}
	weir_policy_free(&policy);
	return WEIR_EXIT_OK;
}

static int run(int argc, char **argv)
{
	int status = weir_no_options(&weir_subcommand_config, argc, argv);
	if (status >= 0)
		return status;
	const char *what = optind < argc ? argv[optind] : NULL;
	int operands = argc - optind - 1;
	if (what && strcmp(what, "check") == 0 && operands <= 1)
		return check(operands == 1 ? argv[optind + 1] : NULL);
	if (what && strcmp(what, "show") == 0 && operands == 0)
		return show();
	if (!what)
		return weir_usage_error(&weir_subcommand_config, "expected check or show");
	if (strcmp(what, "check") == 0 || strcmp(what, "show") == 0)
		return weir_usage_error(&weir_subcommand_config, "%s: too many operands", what);
	return weir_usage_error(&weir_subcommand_config, "expected check or show, got '%s'", what);
}

const struct weir_subcommand weir_subcommand_config = {
	.name = "config",
	.synopsis = "config check [FILE] | config show",
	.summary = "Checks the configuration, or shows every value in force and where it comes from",
	.details = "check: the exit status is 0 when the configuration would be taken, else 1, with what is wrong on stderr.\n",
	.run = run,
};
