/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of libcurl's easy handles: where the next transfer goes, how long the program lets it take, and where it
 * wants to read of errors. Host and port of a URL only; of its path and of credentials digests that tell whether two requests
 * share a quota.
 *
 * A fixed table in .bss, keyed by the handle's address, lock-free. libcurl allows one thread at a time to use a handle, so an
 * entry needs no protection of its own. A handle that finds no place is simply not known: its host is then asked of libcurl, and
 * its time-outs do not count.
 */
#ifndef WEIR_HANDLE_TABLE_H
#define WEIR_HANDLE_TABLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "src/preload/curl/library.h"
#include "src/preload/name/table.h"
#include "src/preload/socket/hop.h"
#include "weir/gate.h"
#include "weir/http.h"

struct weir_handle {
	const struct weir_curl *curl;        /* the library that made it */
	char host_port[WEIR_HOST_PORT_MAX];  /* of CURLOPT_URL; empty: not set, or not understood */
	bool http;                           /* its scheme is http, https or none */
	bool local;                          /* it goes through a Unix socket */
	uint16_t port;                       /* CURLOPT_PORT, 0 = the URL's */
	const CURLU *url;                    /* CURLOPT_CURLU, which comes before CURLOPT_URL; NULL = not set */
	char *error_buffer;                  /* CURL_ERROR_SIZE bytes of the program's, or NULL */
	long timeout_ms, connect_timeout_ms; /* 0 = not set */
	/* Digests (weir/http.h) of what the program has set, 0 = nothing: header lines (a sum), user, password, token, the URL's
	 * own, and the beginning of its path. */
	struct {
		uint64_t header, user, password, bearer, url;
	} credential;
	uint64_t path;
	uint32_t plain;   /* good answers in a row that said nothing of a quota */
	bool whole;       /* all that has been set on it was seen */
	bool chained;     /* libcurl calls weir_transfer_prereq, which calls the program's */
	int refused_with; /* the errno of the refusal that ended its last transfer, 0 = none did */
	bool refusing;    /* what a refusal sets (transfer.c) may still be set */
	bool shortened;   /* libcurl has what was left of the program's time-out, not the whole */
	bool marked;      /* libcurl calls weir's socket callback (connects.c), which calls the program's */
	struct {
		char host_port[WEIR_HOST_PORT_MAX]; /* of CURLOPT_PROXY, empty: none, or not understood; port 0: not named */
		bool set, named;                    /* it is set; it names one */
		bool before;                        /* CURLOPT_PRE_PROXY names one */
		uint8_t scheme, type;               /* see proxy.c; CURLOPT_PROXYTYPE counts where there is no scheme */
		uint16_t port;                      /* CURLOPT_PROXYPORT, 0 = not set */
	} proxy;
	long low_speed_time;           /* CURLOPT_LOW_SPEED_TIME */
	long fresh_connect;            /* CURLOPT_FRESH_CONNECT */
	struct curl_slist *connect_to; /* CURLOPT_CONNECT_TO */
	curl_prereq_callback prereq;   /* CURLOPT_PREREQFUNCTION, and its data */
	void *prereq_data;
	curl_sockopt_callback sockopt; /* CURLOPT_SOCKOPTFUNCTION, and its data */
	void *sockopt_data;
	bool withheld; /* libcurl calls weir's header and write callbacks (withheld.h), which call the program's */
	struct {
		curl_write_callback write, header; /* CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION, and their data */
		void *write_data, *header_data;
		bool write_data_set;
		bool heads_in_body; /* CURLOPT_HEADER */
		bool follows;       /* CURLOPT_FOLLOWLOCATION */
	} receives;
	struct {
		uint8_t verb;            /* enum weir_verb */
		bool named;              /* CURLOPT_CUSTOMREQUEST is set */
		uint32_t method;         /* what it names: its weir_method_bit */
		bool fields, form;       /* a body in memory; one of several parts. Else it is read from a callback */
		curl_seek_callback seek; /* CURLOPT_SEEKFUNCTION, and its data */
		void *seek_data;
	} sends;
};

/* What libcurl makes of the options that choose a method. */
enum weir_verb { WEIR_VERB_GET, WEIR_VERB_HEAD, WEIR_VERB_POST, WEIR_VERB_PUT };

struct weir_multi;

/* What libcurl has delivered of an attempt and the program has not been given (withheld.h). */
struct weir_withheld {
	unsigned char *memory; /* NULL = none yet */
	uint32_t used, given;
	long status;   /* of the head that comes in, 0 = none yet */
	bool passing;  /* what comes goes to the program */
	bool promised; /* it will be asked again, as far as can be known */
};

/* Asking again (again.h). */
struct weir_asking {
	bool on;                   /* else all that follows has no meaning */
	bool repeats;              /* the program asks again by itself */
	uint32_t attempt;          /* 1 is the first */
	uint64_t request;          /* its digest (repeats.h) when it was begun, 0 = not known */
	enum weir_outcome outcome; /* of the attempt that is over */
	CURLcode code;             /* the same */
	uint64_t due_ns;           /* in a multi handle: when the next one is begun, 0 = none is to be */
	bool waits;                /* there: the next one has been begun, and is not admitted yet */
	struct weir_retry_params rule;
	struct weir_withheld withheld;
};

/* A socket whose connect waits (parked.h). */
struct weir_parked {
	int fd;
	socklen_t length;
	uint64_t identity;
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
};
#define WEIR_PARKED 2 /* one for each family */

/* Where a transfer stands that was given to a multi handle (multi_table.h). */
enum weir_place {
	WEIR_PLACE_KEPT,      /* kept back: libcurl does not have it yet */
	WEIR_PLACE_UNDER_WAY, /* libcurl has it */
	WEIR_PLACE_DONE,      /* over; the program has not been told */
	WEIR_PLACE_TOLD,      /* over and told, and still to be removed */
	WEIR_PLACES
};

/* A transfer under way, or kept back. Lives beside the handle's entry and not in a frame: a program may jump out of it. */
struct weir_transfer {
	CURL *handle; /* NULL = none under way */
	const struct weir_curl *curl;
	const struct weir_gate *gate;
	struct weir_handle *known; /* NULL: the handle is not in the table */
	struct weir_request *request;
	uint32_t number;            /* of the flight whose request that is, 0 = `own`, in a multi handle */
	int local_port;             /* of the connection that the request in hand is about to be sent on */
	int refused;                /* the errno of the refusal, 0 = none */
	uint16_t port;              /* of its last connect, 0 = none */
	struct weir_address to;     /* of the same */
	bool by_proxy;              /* that connect went to a proxy, or to what CURLOPT_CONNECT_TO names instead */
	bool instead;               /* CURLOPT_CONNECT_TO names another place for the request in hand */
	bool proxy_refused;         /* and it was the proxy's request that was refused */
	bool sent;                  /* libcurl sends the request in hand */
	bool here;                  /* the request in hand is to this host; false: to one that is none of weir's business */
	uint64_t begun_ns, over_ns; /* over_ns: when the program wants it to be over, 0 = whenever */
	long redirects, connects;   /* before the request in hand */
	uint64_t credential, path;  /* of the request in hand, as struct weir_wish wants them */
	char host_port[WEIR_HOST_PORT_MAX];
	/* Only in a multi handle, else NULL and without meaning. */
	struct weir_multi *multi;
	enum weir_place place;
	bool told_long;                      /* that it waits for long */
	struct weir_transfer *next, *before; /* in the line of its place */
	uint64_t wake_ns;                    /* kept back, parked or held: when to look again */
	uint64_t started_ns;                 /* when libcurl first connected for it or sent it, 0 = not yet */
	uint32_t parks;                      /* sockets of it that are parked */
	struct weir_parked parked[WEIR_PARKED];
	/* Held where it sends (held.h), for hop; how often libcurl has tried to, and what the program has paused meanwhile. */
	bool held;
	uint8_t tries;
	int paused;
	struct weir_hop hop;
	CURLMsg *message; /* over: libcurl's, good until the handle is removed, or `failed` */
	CURLMsg failed;
	uint32_t process; /* weir_process_serial() of whose request it is */
	struct weir_request own;
	/* The connection to a proxy (proxy.h), and how many redirects there were before it. */
	struct weir_request proxy_request;
	long proxy_redirects;
	char proxy_host_port[WEIR_HOST_PORT_MAX];
	struct weir_asking again;
};

/* NULL when it is not known. */
struct weir_handle *weir_handle_find(const CURL *handle);

/* The transfer of a handle's entry. */
struct weir_transfer *weir_handle_transfer(const struct weir_handle *h);

/* Finds it, or makes an empty entry. NULL when there is no place. */
struct weir_handle *weir_handle_make(const CURL *handle, const struct weir_curl *curl);

/* Forgets what the program has set, but not whose handle it is. */
void weir_handle_clear(struct weir_handle *h);

/* What identifies the client to the server, as struct weir_wish wants it; 0 when the handle is not known (h NULL). */
uint64_t weir_handle_credential(const struct weir_handle *h);

/* The libcurl to use for a handle: the one that made it, when that is known (h not NULL), else the caller's. */
const struct weir_curl *weir_handle_library(const struct weir_handle *h, const void *caller);

/* Frees the entry. To be called before the handle's address can come back. */
void weir_handle_forget(const CURL *handle);

#endif
