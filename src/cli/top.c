/* SPDX-License-Identifier: MIT */
/* `weir top`: keys, the agent's answers, and the canvas on the terminal. What is shown is made in top_model.c and top_view.c. */
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/client.h"
#include "src/cli/environment.h"
#include "src/cli/subcommand.h"
#include "src/cli/top_model.h"
#include "src/cli/top_view.h"
#include "src/cli/usage.h"
#include "weir/gate.h"
#include "weir/units.h"

#define DELAY_LEAST_NS UINT64_C(100000000)
#define DELAY_MOST_NS  UINT64_C(86400000000000) /* in milliseconds it fits into an int */
#define PLAIN_ROWS     24
#define PLAIN_COLUMNS  80

enum { KEY_ESCAPE = 27, KEY_DELETE = 127, ESCAPE_MS = 50 };

/* What the next keys mean. */
enum mode { CHOOSING, FILTERING, CONFIRMING };

struct screen {
	struct weir_top top;
	enum mode mode;
	char act; /* to be confirmed: 'r', 'o', 'c' */
	char note[WEIR_SPELLING_MAX + 96];
	uint64_t every_ns, due_ns;
	bool over;
};

static json_t *ask(const char *path)
{
	struct weir_question q = {.method = "GET", .path = path};
	struct weir_reply reply;
	json_t *document = NULL;
	if (!weir_client_ask(&q, &reply))
		return NULL;
	if (reply.status == 200)
		document = json_loadb(reply.body, reply.length, 0, NULL);
	weir_reply_free(&reply);
	return document;
}

/* All that there are: the agent gives them in parts, the oldest first. */
static json_t *ask_events(void)
{
	json_t *all = json_array();
	json_int_t next = 0;
	for (size_t n = 1; n > 0;) {
		char path[64];
		snprintf(path, sizeof path, "/v1/events?since=%" JSON_INTEGER_FORMAT, next);
		json_t *part = ask(path), *list = json_object_get(part, "events");
		json_int_t behind = json_integer_value(json_object_get(part, "next"));
		n = behind > next ? json_array_size(list) : 0;
		json_array_extend(all, list);
		next = behind;
		json_decref(part);
	}
	return json_pack("{s:o}", "events", all);
}

static bool sample(struct weir_top *t)
{
	json_t *stats = ask("/v1/stats");
	bool good = stats && weir_top_take(t, stats);
	json_decref(stats);
	if (good && t->detail) {
		json_t *events = ask_events();
		weir_top_take_events(t, events);
		json_decref(events);
	}
	return good;
}

/* Does what was confirmed, and tells in the note what became of it. */
static void act(struct screen *s)
{
	static const char *const done[] = {"reset", "breaker opened, until it is told otherwise", "breaker closed"};
	const struct weir_top_host *h = weir_top_chosen(&s->top);
	/* The one that was asked about may be gone meanwhile, and another be in its place. */
	if (h && strcmp(h->name, s->top.chosen) != 0)
		h = NULL;
	int which = s->act == 'r' ? 0 : s->act == 'o' ? 1 : 2;
	char *path = h ? weir_client_host_path(h->name, which == 0 ? "/reset" : "/breaker") : NULL;
	struct weir_question q = {.method = "POST",
				  .path = path,
				  .body = which == 1   ? "{\"state\":\"open\"}"
					  : which == 2 ? "{\"state\":\"close\"}"
						       : NULL};
	struct weir_reply reply = {.status = 0};
	bool asked = path && weir_client_ask(&q, &reply);
	if (h)
		snprintf(s->note, sizeof s->note, "%s: %s", h->name,
			 asked && reply.status == 200 ? done[which] : "the agent did not do it");
	else
		snprintf(s->note, sizeof s->note, "%s: the agent does not know it any more", s->top.chosen);
	if (asked)
		weir_reply_free(&reply);
	free(path);
	s->due_ns = 0;
}

static void confirm(struct screen *s, char what)
{
	static const char *const question[] = {"forget what was learned of", "open the breaker of", "close the breaker of"};
	const struct weir_top_host *h = weir_top_chosen(&s->top);
	if (!h)
		return;
	s->act = what;
	s->mode = CONFIRMING;
	/* What is asked about stays chosen, whatever the order becomes meanwhile. */
	snprintf(s->top.chosen, sizeof s->top.chosen, "%s", h->name);
	snprintf(s->note, sizeof s->note, "%s %s? (y/n)", question[what == 'r' ? 0 : what == 'o' ? 1 : 2], h->name);
}

static void tell_filter(struct screen *s)
{
	snprintf(s->note, sizeof s->note, "only hosts with: %s_", s->top.filter);
}

static void filter_key(struct screen *s, int key)
{
	size_t n = strlen(s->top.filter);
	if (key == '\n' || key == KEY_ENTER || key == KEY_ESCAPE) {
		if (key == KEY_ESCAPE)
			s->top.filter[0] = '\0';
		s->mode = CHOOSING;
		s->note[0] = '\0';
		return;
	}
	if ((key == KEY_BACKSPACE || key == KEY_DELETE || key == '\b') && n > 0)
		s->top.filter[n - 1] = '\0';
	else if (key >= 0x20 && key < 0x7f && n + 1 < sizeof s->top.filter) {
		s->top.filter[n] = (char)key;
		s->top.filter[n + 1] = '\0';
	}
	tell_filter(s);
}

static void choose_key(struct screen *s, int key)
{
	s->note[0] = '\0';
	switch (key) {
	case 'q':
		s->over = true;
		break;
	case KEY_UP:
	case 'k':
		weir_top_move(&s->top, -1);
		break;
	case KEY_DOWN:
	case 'j':
		weir_top_move(&s->top, 1);
		break;
	case KEY_PPAGE:
		weir_top_move(&s->top, -LINES);
		break;
	case KEY_NPAGE:
		weir_top_move(&s->top, LINES);
		break;
	case '\n':
	case KEY_ENTER:
		weir_top_move(&s->top, 0);
		s->top.detail = weir_top_chosen(&s->top) != NULL;
		s->due_ns = 0; /* with its events */
		break;
	case KEY_ESCAPE:
	case KEY_BACKSPACE:
		s->top.detail = false;
		break;
	case 's':
		s->top.order = (s->top.order + 1) % WEIR_TOP_ORDERS;
		snprintf(s->note, sizeof s->note, "sorted by %s", weir_top_order_name(s->top.order));
		break;
	case '/':
		s->mode = FILTERING;
		tell_filter(s);
		break;
	case 'r':
	case 'o':
	case 'c':
		confirm(s, (char)key);
		break;
	default:
		break;
	}
}

static void take_key(struct screen *s, int key)
{
	if (key == ERR || key == KEY_RESIZE)
		return;
	if (s->mode == FILTERING) {
		filter_key(s, key);
	} else if (s->mode == CONFIRMING) {
		s->mode = CHOOSING;
		s->note[0] = '\0';
		if (key == 'y' || key == 'Y')
			act(s);
	} else {
		choose_key(s, key);
	}
}

static attr_t attribute(enum weir_style style)
{
	static const struct {
		attr_t plain;
		short color;
	} look[WEIR_STYLES] = {
		[WEIR_DIM] = {A_DIM, 0}, [WEIR_BOLD] = {A_BOLD, 0}, [WEIR_TITLE] = {A_REVERSE, 0}, [WEIR_GOOD] = {0, 1},
		[WEIR_WARN] = {0, 2},    [WEIR_BAD] = {A_BOLD, 3},  [WEIR_CHOSEN] = {A_REVERSE, 0}};
	return look[style].plain | (has_colors() && look[style].color ? (attr_t)COLOR_PAIR(look[style].color) : 0);
}

static void paint(const struct weir_canvas *c)
{
	for (int i = 0; i < c->rows * c->columns; i++) {
		cchar_t cell;
		const wchar_t text[2] = {(wchar_t)c->cell[i].c, L'\0'};
		/* The last cell would scroll the screen. */
		if (i == c->rows * c->columns - 1)
			break;
		attr_t look = attribute(c->cell[i].style);
		setcchar(&cell, text, look, (short)PAIR_NUMBER(look), NULL);
		mvadd_wch(i / c->columns, i % c->columns, &cell);
	}
	refresh();
}

static void draw(const struct screen *s)
{
	struct weir_canvas c;
	if (!weir_canvas_make(&c, LINES, COLS, strcmp(nl_langinfo(CODESET), "UTF-8") == 0))
		return;
	weir_top_draw(&s->top, s->note[0] ? s->note : NULL, &c);
	paint(&c);
	weir_canvas_free(&c);
}

static void begin_terminal(void)
{
	initscr();
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	if (has_colors() && weir_environment_color(STDOUT_FILENO)) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_GREEN, -1);
		init_pair(2, COLOR_YELLOW, -1);
		init_pair(3, COLOR_RED, -1);
	}
}

/* No key will ever come: whoever ignores SIGHUP (nohup) would ask for one for ever. */
static bool terminal_gone(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	return poll(&in, 1, 0) > 0 && (in.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* Of those that end a program, ncurses takes care of SIGINT and SIGTERM alone. */
static volatile sig_atomic_t hung_up;

static void hang_up(int signal)
{
	(void)signal;
	hung_up = 1;
}

static int on_terminal(struct screen *s)
{
	const struct sigaction action = {.sa_handler = hang_up}; /* without SA_RESTART: it ends the wait for a key */
	struct sigaction before;
	bool good = true;
	begin_terminal();
	if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &action, NULL);
	while (!s->over && !hung_up) {
		uint64_t now_ns = weir_now_ns();
		if (now_ns >= s->due_ns) {
			good = sample(&s->top);
			if (!good)
				break;
			s->due_ns = weir_now_ns() + s->every_ns;
		}
		draw(s);
		now_ns = weir_now_ns();
		timeout(s->due_ns > now_ns ? (int)((s->due_ns - now_ns) / 1000000 + 1) : 0);
		int key = getch();
		if (key == ERR && terminal_gone())
			break;
		take_key(s, key);
	}
	endwin();
	if (hung_up) {
		signal(SIGHUP, SIG_DFL);
		raise(SIGHUP);
	}
	if (!good)
		weir_complain("top", "the agent does not answer any more");
	return good ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
}

/* Where there is no terminal: the screen as text, so many times. */
static int as_text(struct screen *s, uint64_t times)
{
	const struct timespec rest = {(time_t)(s->every_ns / 1000000000U), (long)(s->every_ns % 1000000000U)};
	for (uint64_t i = 0; i < times; i++) {
		struct weir_canvas c;
		if (i > 0)
			nanosleep(&rest, NULL);
		if (!sample(&s->top) ||
		    !weir_canvas_make(&c, (int)s->top.count + 6 > PLAIN_ROWS ? (int)s->top.count + 6 : PLAIN_ROWS, PLAIN_COLUMNS,
				      false))
			return WEIR_EXIT_FAILED;
		weir_top_draw(&s->top, " ", &c);
		weir_canvas_print(&c, stdout);
		weir_canvas_free(&c);
		if (fflush(stdout) != 0)
			return WEIR_EXIT_FAILED;
	}
	return WEIR_EXIT_OK;
}

static bool is_terminal(void)
{
	const char *term = getenv("TERM");
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"delay", required_argument, NULL, 'd'},
						{"times", required_argument, NULL, 'n'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct screen s = {.every_ns = 1000000000U};
	uint64_t times = 1;
	bool text = !is_terminal();
	optind = 0;
	opterr = 0;
	for (int o; (o = getopt_long(argc, argv, ":d:n:h", options, NULL)) != -1;) {
		const char *why = NULL;
		if (o == 'h')
			return weir_print_help(&weir_subcommand_top);
		if (o == 'd')
			why = weir_parse_duration(optarg, &s.every_ns);
		else if (o == 'n')
			why = weir_parse_count(optarg, UINT32_MAX, &times);
		else
			return weir_option_error(&weir_subcommand_top, o, argv);
		if (why)
			return weir_usage_error(&weir_subcommand_top, "-%c %s: %s", o, optarg, why);
		text = text || o == 'n';
	}
	if (argc - optind > 1)
		return weir_usage_error(&weir_subcommand_top, "unexpected '%s'", argv[optind + 1]);
	if (s.every_ns < DELAY_LEAST_NS)
		s.every_ns = DELAY_LEAST_NS;
	if (s.every_ns > DELAY_MOST_NS)
		s.every_ns = DELAY_MOST_NS;
	if (optind < argc)
		snprintf(s.top.filter, sizeof s.top.filter, "%s", argv[optind]);
	setlocale(LC_CTYPE, "");
	int status = text ? as_text(&s, times) : on_terminal(&s);
	weir_top_free(&s.top);
	return status;
}

const struct weir_subcommand weir_subcommand_top = {
	.name = "top",
	.synopsis = "top [TEXT] [-d TIME] [-n TIMES]",
	.summary = "Shows the hosts as they are now, live: rates, latencies, who waits, and why",
	.details = "TEXT shows the hosts alone that have it in their name.\n"
		   "\n"
		   "  -d, --delay TIME        between two looks; 1s when not given\n"
		   "  -n, --times TIMES       as text, so many times; the way it is, once, where there is no terminal\n"
		   "\n"
		   "Keys: up and down choose a host, Enter shows it with its history and its last events, Esc goes back,\n"
		   "s sorts by state, rate, waiting, latency or name, / filters by name, r, o and c reset the host, open\n"
		   "and close its breaker (each is asked about first), q quits.\n",
	.run = run,
};
