/* SPDX-License-Identifier: MIT */
/* `weir doctor`: whether weir itself is in order, and what it would see of a command. A line per question, each that is answered
 * with no with the way out below it. */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/agent/handover.h"
#include "src/agent/worlds.h"
#include "src/cli/environment.h"
#include "src/cli/library.h"
#include "src/cli/notices.h"
#include "src/cli/sight.h"
#include "src/cli/stale.h"
#include "src/cli/subcommand.h"
#include "src/cli/usage.h"
#include "weir/log.h"
#include "weir/policy.h"
#include "weir/segment.h"

static bool all_well;

static void answer(const char *mark, const char *what, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));
static void answer(const char *mark, const char *what, const char *format, va_list arguments)
{
	printf("%-4s %-13s ", mark, what);
	char *text = NULL;
	if (vasprintf(&text, format, arguments) >= 0) {
		weir_put_printable(text, stdout);
		free(text);
	}
	putchar('\n');
}

static void good(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void good(const char *what, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	answer("ok", what, format, arguments);
	va_end(arguments);
}

static void note(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(const char *what, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	answer("note", what, format, arguments);
	va_end(arguments);
}

static void bad(const char *way_out, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void bad(const char *way_out, const char *what, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	answer("NO", what, format, arguments);
	va_end(arguments);
	if (way_out)
		printf("     %-13s %s\n", "", way_out);
	all_well = false;
}

/* ---- weir itself */

/* Which belongs to this program: half of an upgrade works, but nobody has tried it. */
static void check_version(const char *library)
{
	char version[32];
	if (!weir_library_version(library, version))
		bad("install both from one version", "library", "%s: its version is not known, this program is %s", library,
		    weir_version());
	else if (strcmp(version, weir_version()) != 0)
		bad("install both from one version", "library", "%s: it is %s, this program %s", library, version,
		    weir_version());
	else
		good("library", "%s: %s", library, version);
}

static void check_library(void)
{
	char library[WEIR_PATH_MAX];
	const char *why = weir_library_find(library);
	if (why && library[0])
		bad("install weir where nobody else may write", "library", "%s: %s", library, why);
	else if (why)
		bad("install weir, or keep libweir.so beside weir", "library", "libweir.so is %s", why);
	else if (strpbrk(library, ": "))
		bad("install weir elsewhere", "library", "%s: LD_PRELOAD cannot express a colon or a space", library);
	else
		check_version(library);
	const char *off = getenv("WEIR_DISABLE");
	if (off && off[0] && strcmp(off, "0") != 0)
		bad("unset WEIR_DISABLE", "switched off", "WEIR_DISABLE=%s: nothing is limited", off);
}

/* A library that is gone makes the dynamic linker complain in every program. */
static void check_preload(void)
{
	const char *list = getenv("LD_PRELOAD");
	for (const char *at = list ? list : ""; *at; at += strspn(at, ": ")) {
		size_t length = strcspn(at, ": ");
		char *item = strndup(at, length);
		struct stat st;
		if (item && strstr(item, "libweir.so") && strchr(item, '/') && stat(item, &st) != 0)
			bad("correct LD_PRELOAD where it is set (a crontab, a unit file, a profile)", "LD_PRELOAD", "%s: %s",
			    item, strerror(errno));
		free(item);
		at += length;
	}
}

static void tell_stale(const char *file, unsigned line, const char *library)
{
	bad("take it out there (weir changes no such file), or install weir where it leads to", "preloaded",
	    "%s:%u: %s is not there", file, line, library);
}

static void check_place(struct weir_environment *e)
{
	struct weir_world w;
	struct weir_segment s;
	int err = 0;
	const char *why = weir_environment_find_world(e, &w);
	if (why) {
		bad("correct the variable", "directory", "%s", why);
		return;
	}
	why = weir_world_prepare(&w, e->uid, &err);
	if (why) {
		bad("make it a directory of yours with mode 0700, or let WEIR_RUNTIME_DIR name another one", "directory",
		    "%s: %s%s%s", w.dir, why, err ? ": " : "", err ? strerror(err) : "");
		return;
	}
	good("directory", "%s", w.dir);
	if (weir_segment_open(&s, w.segment, true, NULL, &why, &err) == WEIR_SEGMENT_OK) {
		good("state", "%s", w.segment);
		weir_segment_close(&s);
	} else {
		bad("make room, or remove the file: the next request makes a new one", "state", "%s: %s%s%s", w.segment, why,
		    err ? ": " : "", err ? strerror(err) : "");
	}
	uint64_t version;
	uint32_t pid = weir_handover_agent(&w, &version);
	if (pid && version != UINT64_MAX && version != weir_version_number(weir_version()))
		note("agent", "running, pid %u, of %s version: a newer program takes an older agent's place when it asks it", pid,
		     weir_version_newer(weir_version_number(weir_version()), version) ? "an older" : "another");
	else if (pid)
		good("agent", "running, pid %u", pid);
	else if (weir_environment_agent_off())
		note("agent", "switched off by WEIR_AGENT=off: limits hold, changes of the configuration and exports do not");
	else
		good("agent", "not running: it is started when it is needed");
}

static void check_other_versions(struct weir_environment *e)
{
	struct weir_world w;
	struct weir_world_found *found = NULL;
	size_t count = weir_environment_find_world(e, &w) ? 0 : weir_worlds_of_other_versions(w.dir, &found);
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++)
		note("version",
		     "%s: of another version of weir; %u process%s there, under limits of their own until started anew",
		     found[i].world.segment, found[i].processes, found[i].processes == 1 ? "" : "es");
	free(found);
}

static void check_configuration(const struct weir_environment *e)
{
	char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX];
	struct weir_policy policy;
	struct weir_findings findings;
	unsigned files = 0;
	memset(&policy, 0, sizeof policy);
	memset(&findings, 0, sizeof findings);
	size_t count = weir_config_chain(e, chain);
	bool usable = weir_policy_compile(chain, count, e->config && e->config[0], &policy, &findings);
	for (size_t i = 0; i < findings.count; i++)
		bad(NULL, "configuration", "%s", findings.line[i]);
	if (usable) {
		for (uint32_t i = 0; i < policy.source_count; i++)
			files += policy.sources[i].inode != 0;
		good("configuration", "%u file%s, %u rule%s", files, files == 1 ? "" : "s", policy.rule_count,
		     policy.rule_count == 1 ? "" : "s");
		weir_policy_free(&policy);
	} else {
		bad("correct it; weir config check tells when it is good", "configuration", "it is not in force as it stands");
	}
	weir_findings_free(&findings);
}

static void tell_notice(const char *line)
{
	note("not in force", "%s", line);
}

/* ---- a command */

static const char *machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_X86_64:
		return "x86-64";
	case EM_386:
		return "i386";
	case EM_AARCH64:
		return "aarch64";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "riscv";
	default:
		return "another machine";
	}
}

static void describe(const struct weir_executable *x, const char *path)
{
	const struct weir_elf *e = &x->elf;
	if (e->kind != WEIR_ELF_PROGRAM) {
		note("program", "%s: no ELF file; a shell may run it", path);
		return;
	}
	good("program", "%s%s: ELF %d bits, %s, %s%s", path, x->script ? " (runs the script)" : "", e->bits,
	     machine_name(e->machine),
	     e->dynamic ? e->interpreter
	     : e->ours  ? "linked statically"
			: "of no use here",
	     e->go ? ", Go" : "");
}

/* Interpreters load what makes their requests when they run; only what they are linked with is known here. */
static void describe_libraries(const struct weir_elf *e)
{
	static const struct {
		unsigned need;
		const char *what, *text;
	} table[] = {
		{WEIR_NEEDS_CURL, "libcurl", "linked with it: its requests are seen one by one"},
		{WEIR_NEEDS_OPENSSL, "TLS", "OpenSSL"},
		{WEIR_NEEDS_GNUTLS, "TLS", "GnuTLS"},
		{WEIR_NEEDS_NSS, "TLS", "NSS: requests are told apart where HTTP/2 is not offered, not what is said in them"},
		{WEIR_NEEDS_SECCOMP, "sandbox",
		 "it may install a seccomp filter: weir sets itself up before, and passes where it is refused"},
	};
	bool any = false;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (e->needs & table[i].need) {
			note(table[i].what, "%s", table[i].text);
			any = true;
		}
	}
	if (!any)
		note("libraries", "linked with no libcurl and no TLS library: it may load them later, or bring its own");
}

static bool is_php(const char *path)
{
	const char *slash = strrchr(path, '/');
	return strncmp(slash ? slash + 1 : path, "php", 3) == 0;
}

static const char *way_out_for(const struct weir_executable *x)
{
	const struct weir_elf *e = &x->elf;
	if (e->needs & WEIR_NEEDS_ASAN)
		return "run a build without the sanitizer under weir";
	if (weir_elf_unfit(e))
		return "use a build for this machine and glibc";
	if (weir_elf_unseen(e))
		return "use a program that is linked dynamically and calls the C library";
	return "run weir behind it, as in sudo weir run COMMAND";
}

/* Returns the exit status. */
static int check_command(const char *command)
{
	struct weir_executable x;
	char path[WEIR_PATH_MAX];
	const char *why;
	enum weir_sight sight = weir_sight_of(command, &x, path, &why);
	if (sight == WEIR_SIGHT_ABSENT) {
		int err = errno;
		bad(NULL, "program", "%s: %s%s", command, x.where ? "its interpreter: " : "", strerror(err));
		return err == ENOENT && x.where == 0 ? WEIR_EXIT_NOT_FOUND : WEIR_EXIT_NOT_EXECUTABLE;
	}
	describe(&x, path);
	if (sight == WEIR_SIGHT_UNSEEN || sight == WEIR_SIGHT_UNFIT) {
		bad(way_out_for(&x), "seen", "%s%s", why,
		    sight == WEIR_SIGHT_UNFIT ? ": weir run starts it without the library" : "");
		return WEIR_EXIT_FAILED;
	}
	if (x.elf.kind == WEIR_ELF_PROGRAM)
		describe_libraries(&x.elf);
	if (is_php(path))
		note("DEEPBIND", "PHP loads extensions with RTLD_DEEPBIND; the library takes it away from those that ask hosts");
	good("seen", "the library can be preloaded; README's table tells what is seen in which program");
	return WEIR_EXIT_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	optind = 0;
	opterr = 0;
	int o = getopt_long(argc, argv, "+:h", options, NULL), status; /* +: what follows the command is the command's */
	if (o != -1)
		return o == 'h' ? weir_print_help(&weir_subcommand_doctor) : weir_option_error(&weir_subcommand_doctor, o, argv);
	struct weir_environment e = weir_environment_read();
	all_well = true;
	check_library();
	check_preload();
	weir_stale_list(&e, tell_stale);
	check_place(&e);
	check_other_versions(&e);
	check_configuration(&e);
	weir_notices_list(&e, false, tell_notice);
	status = optind < argc ? check_command(argv[optind]) : WEIR_EXIT_OK;
	return status ? status : all_well ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
}

const struct weir_subcommand weir_subcommand_doctor = {
	.name = "doctor",
	.synopsis = "doctor [COMMAND [ARG...]]",
	.summary = "Tells whether weir is in order, and whether it would see what a command does",
	.details = "A line for each question; NO is followed by the way out. The command is not run.\n"
		   "\n"
		   "The exit status is 0 when all is well, 1 when something is not or the command cannot be seen, 126 when it\n"
		   "cannot be executed and 127 when it is not found.\n",
	.run = run,
};
