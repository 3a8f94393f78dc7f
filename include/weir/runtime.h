/* SPDX-License-Identifier: MIT */
/*
 * Where things are: the runtime directory and the files in it, the chain of configuration files, the agent's program. Takes what
 * the faces read from the environment; reads none itself. Works without malloc and stdio, so that the library can use it.
 */
#ifndef WEIR_RUNTIME_H
#define WEIR_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WEIR_PATH_MAX  512
#define WEIR_CHAIN_MAX 16

/* What the faces read with secure_getenv. NULL or "" = unset. */
struct weir_environment {
	const char *runtime_dir;     /* WEIR_RUNTIME_DIR */
	const char *xdg_runtime_dir; /* XDG_RUNTIME_DIR */
	const char *config;          /* WEIR_CONFIG */
	const char *xdg_config_home; /* XDG_CONFIG_HOME */
	const char *xdg_state_home;  /* XDG_STATE_HOME */
	const char *home;            /* HOME */
	uid_t uid;                   /* effective */
};

/* The world that an environment points to. */
struct weir_world {
	char dir[WEIR_PATH_MAX];     /* $RUNTIME */
	char segment[WEIR_PATH_MAX]; /* $RUNTIME/state.1, or state.1.HASH; the number is WEIR_SEGMENT_VERSION */
	char socket[WEIR_PATH_MAX];  /* $RUNTIME/weir.sock[.HASH] */
	char lock[WEIR_PATH_MAX];    /* $RUNTIME/agent.lock[.HASH] */
	char pid[WEIR_PATH_MAX];     /* $RUNTIME/agent.pid[.HASH] */
	char config[WEIR_PATH_MAX];  /* absolute WEIR_CONFIG, or empty: the chain */
	uint64_t key;                /* the HASH: of configuration chain and clock */
	char suffix[20];             /* ".HASH", or empty */
	bool shares_names;           /* may have the names without HASH, if no other chain has them */
};

/* out = the path, absolute (from the working directory if need be) and without "//", "/./" and slashes at the end. ".." stays:
 * what it means depends on symbolic links. False, and out empty, when that is too long or there is no working directory. */
bool weir_path_absolute(char out[WEIR_PATH_MAX], const char *path);

/* By how much CLOCK_MONOTONIC of this process differs from the machine's (a time namespace); 0 = it does not, or that cannot be
 * told. A name for the clock more than a number: the same for all who share it. Reads /proc. */
uint64_t weir_clock_offset(void);

/* Computes it: WEIR_RUNTIME_DIR, else XDG_RUNTIME_DIR/weir if that is a directory of the user's, else /run/weir for root, else
 * /run/user/UID/weir if that is a directory of the user's with mode 0700, else /tmp/weir-UID. Returns NULL or what is wrong
 * (static text: a path too long, a relative WEIR_RUNTIME_DIR). Changes no file: it looks at the two directories and the home with
 * stat, at the clock (weir_clock_offset) and at whose the plain names are, and resolves a relative WEIR_CONFIG against the
 * working directory. */
const char *weir_world_of(const struct weir_environment *e, struct weir_world *w);

/* Before files of the world are made: weir_runtime_prepare for its directory, and the plain names are taken, or, where another
 * configuration chain has been faster, given up. */
const char *weir_world_prepare(struct weir_world *w, uid_t uid, int *err);

/* The names of a world in `dir` by its suffix, ".HASH" or empty, which is not checked; all else in *w is zero. False: too long.
 */
bool weir_world_named(const char *dir, const char *suffix, struct weir_world *w);

/* Where what outlives a reboot lies: $XDG_STATE_HOME/weir where that is the user's own or yet to be made, else /var/lib/weir for
 * root, else ~/.local/state/weir. False when there is no home for it. Makes nothing. */
bool weir_state_path(const struct weir_environment *e, char out[WEIR_PATH_MAX]);

/* The same directory, made if need be (0700). Returns NULL, or what is wrong and *err = errno or 0. */
const char *weir_state_directory(const struct weir_environment *e, char out[WEIR_PATH_MAX], int *err);

/* The home directory of the user in /etc/passwd. False, and out empty, when there is none. */
bool weir_home_of(uid_t uid, char out[WEIR_PATH_MAX]);

/* Makes sure that dir exists, is a directory, ours and 0700: creates it (its parent must exist), never repairs one that is wrong.
 * Returns NULL or what is wrong; *err = errno or 0. */
const char *weir_runtime_prepare(const char *dir, uid_t uid, int *err);

/* A path as a socket's address, which is shorter than paths may be. */
struct weir_socket_name {
	char path[108];
	int directory; /* descriptor that the path leads through, or -1 */
};

/* Makes it; to be ended when the address has been used. Opens the socket's directory where the path is longer than 107 bytes, and
 * needs /proc then. False and errno when that does not help. */
bool weir_socket_name(const char *path, struct weir_socket_name *out);
void weir_socket_name_end(struct weir_socket_name *name);

/* The files that make the configuration, in order of reading; later wins. Directories (conf.d) stand in it as themselves. Returns
 * how many. */
size_t weir_config_chain(const struct weir_environment *e, char chain[WEIR_CHAIN_MAX][WEIR_PATH_MAX]);

/* Whether nobody but root and `uid` can have put there what is at this absolute path: NULL, or why not (static text). The file
 * and every directory above it must belong to one of the two and be closed to others; a directory with the sticky bit will do
 * further up. */
const char *weir_path_trusted(const char *path, uid_t uid);

/* The version of the object that calls, "1.2.3". */
const char *weir_version(void);

/* A version as a number for the segment: major:16, minor:16, patch:16, and 16 bits of the whole text's hash, so that versions
 * which count as equally new can be told apart. Never 0. */
uint64_t weir_version_number(const char *version);
bool weir_version_newer(uint64_t a, uint64_t b);

/* Notes down for the operator that limits are not in force: "DATE WHAT: WHY (errno N)", once a day and cause, at most 400 bytes,
 * in the first of the two files below that can be written. Async-signal-safe; blocks for file I/O. */
void weir_notice(const struct weir_environment *e, const char *what, const char *why, int err);

/* The files: 0, $XDG_STATE_HOME/weir/notices (~/.local/state/weir/notices); 1, /dev/shm/weir-UID.notices. False: no such. */
bool weir_notice_file(const struct weir_environment *e, unsigned which, char out[WEIR_PATH_MAX]);

/* Whether the directory lies in a /tmp or /var/tmp that is this service's own (PrivateTmp of systemd), as far as its mounts tell:
 * in a namespace that receives nothing from another one only by systemd's names. Reads /proc. */
bool weir_place_is_private(const char *dir);

/* Finds the `weir` program that belongs to the object file at `self` (the library or the CLI): beside it, ../bin, ../../bin, then
 * the configured bin directory. NULL, or why it is not to be used (static text): there is none, and *out is empty; or what is
 * found may have been put there by others (weir_path_trusted). */
const char *weir_program_find(const char *self, char out[WEIR_PATH_MAX]);

/* Whether a line of /proc/PID/maps tells of the file. The maker of a segment mapped it when it had no name yet, and some file
 * systems tell another device here than by stat: either device or `name` (a part of the path) must fit, the inode always. */
bool weir_maps_line_is(const char *line, dev_t device, ino_t inode, const char *name);

/* Whether libweir.so is mapped in this process. False also when that cannot be told (no /proc, another user's process).
 * Async-signal-safe but for errno; blocks for reading /proc. */
bool weir_process_preloaded(pid_t pid);

/* How long the library starts no agent after one has left because a process under weir adopted it. */
#define WEIR_AGENT_PUT_OFF_NS UINT64_C(60000000000)

/* Starts `program agent --spawned` detached: a double fork through clone without SIGCHLD, own session, descriptors closed,
 * stdin/out/err on /dev/null, working directory /, umask 077, default signals, environment `envp` (NULL: none) without
 * LD_PRELOAD, LD_AUDIT, WEIR_RUN and WEIR_SUMMARY and with the paths in WEIR_CONFIG and WEIR_LOG made absolute. The caller's
 * wait() never sees it, no zombie stays. Returns 0 (which does not tell whether exec went well) or errno; EBUSY where the agent
 * would become a child that this process, or the PID 1 that runs under weir, did not make. Async-signal-safe; blocks for the time
 * of a fork. */
int weir_agent_spawn(const char *program, char *const envp[]);

#endif
