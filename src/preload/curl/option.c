/* SPDX-License-Identifier: MIT */
#include "src/preload/curl/option.h"

#include <string.h>

#include "weir/again.h"
#include "weir/narrow.h"

/* Deprecated, and still what old programs set. */
#define OPTION_PUT      ((CURLoption)54)
#define OPTION_HTTPPOST ((CURLoption)10024)

bool weir_option_is_noted(CURLoption option)
{
	switch ((int)option) {
	case CURLOPT_WRITEFUNCTION:
	case CURLOPT_WRITEDATA:
	case CURLOPT_HEADERFUNCTION:
	case CURLOPT_HEADERDATA:
	case CURLOPT_HEADER:
	case CURLOPT_FOLLOWLOCATION:
	case CURLOPT_NOBODY:
	case CURLOPT_HTTPGET:
	case CURLOPT_POST:
	case CURLOPT_UPLOAD:
	case (int)OPTION_PUT:
	case CURLOPT_POSTFIELDS:
	case CURLOPT_COPYPOSTFIELDS:
	case (int)OPTION_HTTPPOST:
	case CURLOPT_MIMEPOST:
	case CURLOPT_CUSTOMREQUEST:
	case CURLOPT_SEEKFUNCTION:
	case CURLOPT_SEEKDATA:
		return true;
	default:
		return false;
	}
}

bool weir_option_is_withheld(const struct weir_handle *h, CURLoption option)
{
	return h->withheld && (option == CURLOPT_WRITEFUNCTION || option == CURLOPT_WRITEDATA ||
			       option == CURLOPT_HEADERFUNCTION || option == CURLOPT_HEADERDATA);
}

static void note_verb(struct weir_handle *h, enum weir_verb verb, bool fields, bool form)
{
	h->sends.verb = (uint8_t)verb;
	h->sends.fields = fields;
	h->sends.form = form;
}

/* As libcurl's Curl_vsetopt: the option that is set last decides. */
static void note_method(struct weir_handle *h, CURLoption option, void *word)
{
	bool on = word != NULL;

	switch ((int)option) {
	case CURLOPT_NOBODY:
		if (on)
			h->sends.verb = WEIR_VERB_HEAD;
		else if (h->sends.verb == WEIR_VERB_HEAD)
			h->sends.verb = WEIR_VERB_GET;
		break;
	case CURLOPT_HTTPGET:
		if (on)
			note_verb(h, WEIR_VERB_GET, false, false);
		break;
	case CURLOPT_POST:
		if (on)
			note_verb(h, WEIR_VERB_POST, h->sends.fields, false);
		else
			note_verb(h, WEIR_VERB_GET, h->sends.fields, false);
		break;
	case CURLOPT_POSTFIELDS:
	case CURLOPT_COPYPOSTFIELDS:
		note_verb(h, WEIR_VERB_POST, on, false);
		break;
	case CURLOPT_MIMEPOST:
	case (int)OPTION_HTTPPOST:
		note_verb(h, WEIR_VERB_POST, false, on);
		break;
	default: /* CURLOPT_UPLOAD, CURLOPT_PUT */
		note_verb(h, on ? WEIR_VERB_PUT : WEIR_VERB_GET, false, false);
	}
}

bool weir_option_note(struct weir_handle *h, CURLoption option, void *word)
{
	const char *name = word;

	if (!weir_option_is_noted(option))
		return false;
	switch (option) {
	case CURLOPT_WRITEFUNCTION:
		h->receives.write = (curl_write_callback)word;
		break;
	case CURLOPT_WRITEDATA:
		h->receives.write_data = word;
		h->receives.write_data_set = true;
		break;
	case CURLOPT_HEADERFUNCTION:
		h->receives.header = (curl_write_callback)word;
		break;
	case CURLOPT_HEADERDATA:
		h->receives.header_data = word;
		break;
	case CURLOPT_HEADER:
		h->receives.heads_in_body = word != NULL;
		break;
	case CURLOPT_FOLLOWLOCATION:
		h->receives.follows = word != NULL;
		break;
	case CURLOPT_CUSTOMREQUEST:
		h->sends.named = name != NULL;
		h->sends.method = name ? weir_method_bit(name, strnlen(name, 16)) : 0;
		break;
	case CURLOPT_SEEKFUNCTION:
		h->sends.seek = (curl_seek_callback)word;
		break;
	case CURLOPT_SEEKDATA:
		h->sends.seek_data = word;
		break;
	default:
		note_method(h, option, word);
	}
	return true;
}

static const char *const verbs[] = {
	[WEIR_VERB_GET] = "GET", [WEIR_VERB_HEAD] = "HEAD", [WEIR_VERB_POST] = "POST", [WEIR_VERB_PUT] = "PUT"};

uint32_t weir_option_method(const struct weir_handle *h)
{
	const char *verb = verbs[h->sends.verb & 3];

	return h->sends.named ? h->sends.method : weir_method_bit(verb, strlen(verb));
}

uint32_t weir_option_retry_method(const struct weir_handle *h)
{
	uint32_t bit = weir_option_method(h);
	const char *name = bit != 0 ? weir_method_name((unsigned)__builtin_ctz(bit)) : NULL;

	return name ? weir_method_of(name, strlen(name)) : 0;
}
