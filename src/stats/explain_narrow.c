/* SPDX-License-Identifier: MIT */
/* Which narrowed rules a request meets; which of them are not seen where its path or method is not; the client's share. */
#include <inttypes.h>
#include <string.h>

#include "src/stats/explain_parts.h"
#include "weir/log.h"

#define LIST_MAX 512

/* Whether a narrowed rule is for the request that is asked about, and if not, why. */
enum meeting { MEETS, OTHER_PATH, OTHER_METHOD, EARLIER, DEPENDS };

static const struct {
	const char *name, *text;
} meetings[] = {[MEETS] = {"meets", "holds"},
		[OTHER_PATH] = {"other_path", "does not hold: the path is another"},
		[OTHER_METHOD] = {"other_method", "does not hold: the method is another"},
		[EARLIER] = {"earlier_rule", "does not hold: a rule before it takes this request"},
		[DEPENDS] = {"depends", "holds where path and method are its own"}};

/* Which of what the rule asks for the question leaves open counts as its own. */
static enum meeting meet(const struct weir_explaining *x, const struct weir_narrow *n, uint32_t index)
{
	const struct weir_asked_about *a = x->asked;
	size_t glob = strnlen(n->path, sizeof n->path), path = a->path ? strlen(a->path) : 0;
	bool open = false;

	if (x->e->forecast.narrowed == index)
		return MEETS;
	if (n->methods && !a->method)
		open = true;
	else if (n->methods && !(n->methods & weir_method_bit(a->method, strlen(a->method))))
		return OTHER_METHOD;
	if (glob && !a->path)
		open = true;
	else if (glob && !weir_glob(n->path, glob, a->path, path < WEIR_PATH_SEEN_MAX ? path : WEIR_PATH_SEEN_MAX))
		return OTHER_PATH;
	return open ? DEPENDS : EARLIER;
}

/* The entry of a narrowed rule, beside or in the place of its host's. */
static const struct weir_host_view *entry_of(const struct weir_explaining *x, const char *name, char key[WEIR_KEY_MAX])
{
	weir_format(key, WEIR_KEY_MAX, "%s#%s", x->key, name);
	return weir_find_view(x, key);
}

static json_t *needs_json(const struct weir_narrow *n)
{
	json_t *list = json_array();

	if (n->path[0])
		json_array_append_new(list, json_string("path"));
	if (n->methods)
		json_array_append_new(list, json_string("method"));
	return list;
}

static json_t *rule_json(const struct weir_rule *r, const char *name, const char *place, enum meeting m,
			 const struct weir_host_view *view)
{
	json_t *o = json_object();

	json_object_set_new(o, "rule", json_string(name));
	if (place)
		json_object_set_new(o, "source", json_string(place));
	if (m != DEPENDS)
		json_object_set_new(o, "applies", json_boolean(m == MEETS));
	json_object_set_new(o, "why", json_string(meetings[m].name));
	json_object_set_new(o, "apart", json_boolean((r->narrow.flags & WEIR_NARROW_APART) != 0));
	json_object_set_new(o, "exempt", json_boolean((r->flags & WEIR_RULE_EXEMPT) != 0));
	json_object_set_new(o, "needs", needs_json(&r->narrow));
	if (view) {
		json_object_set_new(o, "in_flight", json_integer(view->in_flight));
		json_object_set_new(o, "waiting", json_integer(view->waiting));
	}
	return o;
}

static void say_rule(struct weir_explaining *x, const struct weir_rule *r, uint32_t index, json_t *list)
{
	enum meeting m = meet(x, &r->narrow, index);
	bool apart = (r->narrow.flags & WEIR_NARROW_APART) != 0, exempt = (r->flags & WEIR_RULE_EXEMPT) != 0;
	char name[WEIR_NARROW_NAME_MAX], key[WEIR_KEY_MAX], limits[WEIR_FIXED_LIMITS], at[WEIR_SOURCE_PATH_MAX + 32] = "";
	const char *place, *text;
	const struct weir_host_view *view;

	weir_narrow_name(&r->narrow, name);
	view = entry_of(x, name, key);
	place = weir_place_of(x, r, NULL, "match");
	if (place)
		weir_format(at, sizeof at, ", %s,", place);
	json_array_append_new(list, rule_json(r, name, place, m, view));
	if (m != MEETS) {
		weir_say(x, "Narrowed: \"%s\"%s %s.", name, at, meetings[m].text);
		return;
	}
	if (exempt || apart) {
		weir_say(x, "Narrowed: \"%s\"%s holds for this request, in the place of the host's rule%s.", name, at,
			 exempt ? ": it passes untouched" : "");
		return;
	}
	text = view && (view->set_rate || view->set_concurrency) ? weir_set_limits(x, view, limits)
								 : weir_fixed_limits(x, r, "narrowed", limits);
	weir_say(x, "Narrowed: \"%s\"%s holds for this request as well: %s; %" PRIu32 " in flight and %" PRIu32 " waiting now.",
		 name, at, text, view ? view->in_flight : 0, view ? view->waiting : 0);
}

/* The names of the rules that ask for what may not be seen. */
static void list_names(const struct weir_rule *rules, uint32_t count, char out[LIST_MAX], json_t *names)
{
	uint32_t left_out = 0;
	size_t n = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < count; i++) {
		char name[WEIR_NARROW_NAME_MAX];

		weir_narrow_name(&rules[i].narrow, name);
		json_array_append_new(names, json_string(name));
		if (left_out == 0 && n + strlen(name) + 24 < LIST_MAX)
			n += weir_format(out + n, LIST_MAX - n, "%s\"%s\"", n ? ", " : "", name);
		else
			left_out++;
	}
	if (left_out > 0)
		weir_format(out + n, LIST_MAX - n, " and %" PRIu32 " more", left_out);
}

/* Where the rules are not seen, and the host's own holds instead (docs/configuration.md, narrower rules). */
static void say_visibility(struct weir_explaining *x, const struct weir_rule *rules, uint32_t count)
{
	static const char *const where[] = {
		[WEIR_WIRE_UNKNOWN] = "in programs that have a TLS of their own (node, Java), and in HTTP/2 outside libcurl",
		[WEIR_WIRE_CLEAR] =
			"in HTTP/2 outside libcurl, in a libcurl handle whose URL is a CURLU, and behind a proxy that "
			"is asked to connect",
		[WEIR_WIRE_TLS] = "in programs that have a TLS of their own (node, Java), in HTTP/2 outside libcurl, and in a "
				  "libcurl handle whose URL is a CURLU"};
	static const char *const seen[] = {[WEIR_WIRE_UNKNOWN] =
						   "by libcurl, at sockets in the clear, and where OpenSSL or GnuTLS encrypt",
					   [WEIR_WIRE_CLEAR] = "by libcurl and at sockets",
					   [WEIR_WIRE_TLS] = "by libcurl, and where OpenSSL or GnuTLS encrypt"};
	enum weir_wire wire = x->asked->wire;
	json_t *o = json_object(), *names = json_array();
	uint64_t blindly = weir_seen_blindly(x);
	char list[LIST_MAX];

	list_names(rules, count, list, names);
	weir_say(x, "Seen: what a request asks for is seen %s.", seen[wire]);
	weir_say(x, "Not seen: %s; there %s %s not visible, and the host's own rule holds alone.", where[wire], list,
		 count > 1 ? "are" : "is");
	if (blindly)
		weir_say(x, "Not seen: what %" PRIu64 " requests so far asked for; they passed by the host's own rule.", blindly);
	json_object_set_new(o, "rules", names);
	json_object_set_new(o, "seen", json_string(seen[wire]));
	json_object_set_new(o, "not_seen", json_string(where[wire]));
	json_object_set_new(o, "requests_not_seen", json_integer((json_int_t)blindly));
	json_object_set_new(x->e->document, "visibility", o);
}

static void note(struct weir_explaining *x, const char *limit, json_t *value, const char *field)
{
	struct weir_limit l = {limit, "client", value, WEIR_LIMIT_CONFIGURED, weir_place_of(x, &x->rule, NULL, field), 0};

	weir_note_limit(x, &l);
}

/* What each client has of the host by itself. */
static void say_client(struct weir_explaining *x)
{
	const struct weir_narrow *n = &x->rule.narrow;
	const char *client = x->asked->client;
	struct weir_words w = {.next = 0};
	char text[128] = "";
	size_t at = 0;

	if (n->client_rate) {
		const char *rate = weir_rate_word(&w, n->client_rate);

		at = weir_format(text, sizeof text, "at most %s with a burst of %" PRIu32, rate,
				 n->client_burst ? n->client_burst : 1);
		note(x, "rate", json_string(rate), "per_client.rate");
	}
	if (n->client_concurrency) {
		weir_format(text + at, sizeof text - at, "%sat most %" PRIu32 " in flight", at ? ", " : "",
			    n->client_concurrency);
		note(x, "concurrency", json_integer(n->client_concurrency), "per_client.concurrency");
	}
	if (text[0] && client)
		weir_say(x, "Client: \"%s\" has a share of its own: %s.", client, text);
	else if (text[0])
		weir_say(x, "Client: each has a share of its own: %s; --client NAME asks for one.", text);
}

void weir_say_narrowed(struct weir_explaining *x)
{
	struct weir_policy_view view = weir_policy_in_force(x->s);
	struct weir_rule rules[WEIR_NARROWED_MAX];
	uint32_t first = x->host.narrow.first, count = x->host.narrow.count;
	json_t *list = json_array();

	json_object_set_new(x->e->document, "narrowed", list);
	if (!view.rules || count > WEIR_NARROWED_MAX || first >= view.rule_count || count > view.rule_count - first)
		count = 0;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&rules[i], &view.rules[first + i], sizeof rules[i]);
		rules[i].match[sizeof rules[i].match - 1] = '\0';
		rules[i].narrow.path[sizeof rules[i].narrow.path - 1] = '\0';
		say_rule(x, &rules[i], first + i, list);
	}
	if (count > 0)
		say_visibility(x, rules, count);
	if (!x->e->forecast.exempt)
		say_client(x);
}

const char *weir_met_name(const struct weir_explaining *x, char out[WEIR_NARROW_NAME_MAX])
{
	struct weir_policy_view view = weir_policy_in_force(x->s);
	uint32_t index = x->e->forecast.narrowed;

	if (!view.rules || index >= view.rule_count)
		return NULL;
	weir_narrow_name(&view.rules[index].narrow, out);
	return out;
}
