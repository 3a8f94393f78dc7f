/* SPDX-License-Identifier: MIT */
/*
 * What servers call their limits. A new dialect is a line here, with its source, and one in tests/unit/test_http_dialects.c.
 * The structured fields RateLimit and RateLimit-Policy, which have several quotas in one header, are read in quota.c.
 */
#include "src/http/dialect.h"

#include <stddef.h>

#include "src/http/number.h"

const struct dialect weir_dialects[] = {
	/* draft-ietf-httpapi-ratelimit-headers-00 to -06, https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/;
	 * Docker Hub without a reset ("100;w=21600"), https://docs.docker.com/docker-hub/usage/pulls/;
	 * GitLab with an epoch and a name, https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/ */
	{.sign = "RateLimit-Remaining",
	 .limit = "RateLimit-Limit",
	 .remaining = "RateLimit-Remaining",
	 .used = "RateLimit-Observed",
	 .reset = "RateLimit-Reset",
	 .resource = "RateLimit-Name"},
	/* Discord, where the time from now on goes before the epoch: https://discord.com/developers/docs/topics/rate-limits */
	{.sign = "X-RateLimit-Reset-After",
	 .limit = "X-RateLimit-Limit",
	 .remaining = "X-RateLimit-Remaining",
	 .reset = "X-RateLimit-Reset-After",
	 .resource = "X-RateLimit-Bucket",
	 .beside = true},
	/* GitHub, with an epoch: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api;
	 * Reddit, with floats and without a limit: https://support.reddithelp.com/hc/en-us/articles/16160319875092;
	 * Jira, with ISO 8601, its Data Center with a length: https://developer.atlassian.com/cloud/jira/platform/rate-limiting/;
	 * and most others */
	{.sign = "X-RateLimit-Remaining",
	 .limit = "X-RateLimit-Limit",
	 .remaining = "X-RateLimit-Remaining",
	 .used = "X-RateLimit-Used",
	 .reset = "X-RateLimit-Reset",
	 .window = "X-RateLimit-Interval-Seconds",
	 .resource = "X-RateLimit-Resource"},
	/* Twitter: https://developer.x.com/en/docs/x-api/rate-limits; Okta:
	 * https://developer.okta.com/docs/reference/rl-best-practices/; Crossref, with an interval alone:
	 * https://api.crossref.org/swagger-ui/index.html */
	{.sign = "X-Rate-Limit-Limit",
	 .limit = "X-Rate-Limit-Limit",
	 .remaining = "X-Rate-Limit-Remaining",
	 .reset = "X-Rate-Limit-Reset",
	 .window = "X-Rate-Limit-Interval"},
	/* OpenAI, Azure OpenAI, Groq: resets like "6m0s", https://platform.openai.com/docs/guides/rate-limits */
	{.sign = "X-RateLimit-Remaining-Requests",
	 .limit = "X-RateLimit-Limit-Requests",
	 .remaining = "X-RateLimit-Remaining-Requests",
	 .reset = "X-RateLimit-Reset-Requests"},
	{.sign = "X-RateLimit-Remaining-Tokens",
	 .limit = "X-RateLimit-Limit-Tokens",
	 .remaining = "X-RateLimit-Remaining-Tokens",
	 .reset = "X-RateLimit-Reset-Tokens",
	 .other_unit = true},
	/* Anthropic, with RFC 3339: https://docs.anthropic.com/en/api/rate-limits */
	{.sign = "Anthropic-RateLimit-Requests-Remaining",
	 .limit = "Anthropic-RateLimit-Requests-Limit",
	 .remaining = "Anthropic-RateLimit-Requests-Remaining",
	 .reset = "Anthropic-RateLimit-Requests-Reset"},
	{.sign = "Anthropic-RateLimit-Tokens-Remaining",
	 .limit = "Anthropic-RateLimit-Tokens-Limit",
	 .remaining = "Anthropic-RateLimit-Tokens-Remaining",
	 .reset = "Anthropic-RateLimit-Tokens-Reset",
	 .other_unit = true},
	{.sign = "Anthropic-RateLimit-Input-Tokens-Remaining",
	 .limit = "Anthropic-RateLimit-Input-Tokens-Limit",
	 .remaining = "Anthropic-RateLimit-Input-Tokens-Remaining",
	 .reset = "Anthropic-RateLimit-Input-Tokens-Reset",
	 .other_unit = true,
	 .beside = true},
	{.sign = "Anthropic-RateLimit-Output-Tokens-Remaining",
	 .limit = "Anthropic-RateLimit-Output-Tokens-Limit",
	 .remaining = "Anthropic-RateLimit-Output-Tokens-Remaining",
	 .reset = "Anthropic-RateLimit-Output-Tokens-Reset",
	 .other_unit = true,
	 .beside = true},
	/* Azure Resource Manager: remaining alone, which says little until it is nothing;
	 * https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/request-limits-and-throttling */
	{.sign = "X-MS-RateLimit-Remaining-Subscription-Reads",
	 .remaining = "X-MS-RateLimit-Remaining-Subscription-Reads",
	 .beside = true},
	{.sign = "X-MS-RateLimit-Remaining-Subscription-Writes",
	 .remaining = "X-MS-RateLimit-Remaining-Subscription-Writes",
	 .beside = true},
	{.sign = "X-MS-RateLimit-Remaining-Subscription-Deletes",
	 .remaining = "X-MS-RateLimit-Remaining-Subscription-Deletes",
	 .beside = true},
	{.sign = "X-MS-RateLimit-Remaining-Tenant-Reads", .remaining = "X-MS-RateLimit-Remaining-Tenant-Reads", .beside = true},
	{.sign = "X-MS-RateLimit-Remaining-Tenant-Writes", .remaining = "X-MS-RateLimit-Remaining-Tenant-Writes", .beside = true},
	/* Kong, beside RateLimit-*: https://docs.konghq.com/hub/kong-inc/rate-limiting/ */
	{.sign = "X-RateLimit-Remaining-Second",
	 .limit = "X-RateLimit-Limit-Second",
	 .remaining = "X-RateLimit-Remaining-Second",
	 .window_ns = NS_PER_S,
	 .beside = true},
	{.sign = "X-RateLimit-Remaining-Minute",
	 .limit = "X-RateLimit-Limit-Minute",
	 .remaining = "X-RateLimit-Remaining-Minute",
	 .window_ns = 60 * NS_PER_S,
	 .beside = true},
	{.sign = "X-RateLimit-Remaining-Hour",
	 .limit = "X-RateLimit-Limit-Hour",
	 .remaining = "X-RateLimit-Remaining-Hour",
	 .window_ns = 3600 * NS_PER_S,
	 .beside = true},
	{.sign = "X-RateLimit-Remaining-Day",
	 .limit = "X-RateLimit-Limit-Day",
	 .remaining = "X-RateLimit-Remaining-Day",
	 .window_ns = 86400 * NS_PER_S,
	 .beside = true},
	/* Shopify, "32/40" of a leaky bucket: https://shopify.dev/docs/api/usage/limits */
	{.sign = "X-Shopify-Shop-Api-Call-Limit", .limit = "X-Shopify-Shop-Api-Call-Limit", .beside = true},
	/* Linear, with milliseconds since 1970: https://linear.app/developers/rate-limiting */
	{.sign = "X-RateLimit-Requests-Remaining",
	 .limit = "X-RateLimit-Requests-Limit",
	 .remaining = "X-RateLimit-Requests-Remaining",
	 .reset = "X-RateLimit-Requests-Reset"},
	/* imgur, with an epoch: https://apidocs.imgur.com/ */
	{.sign = "X-RateLimit-UserRemaining",
	 .limit = "X-RateLimit-UserLimit",
	 .remaining = "X-RateLimit-UserRemaining",
	 .reset = "X-RateLimit-UserReset"},
	{0},
};

const struct wait_header weir_wait_headers[] = {
	/* The finer one of Azure OpenAI and Cosmos DB:
	   https://learn.microsoft.com/en-us/rest/api/cosmos-db/http-status-codes-for-cosmosdb */
	{"Retry-After-Ms", NS_PER_S / 1000},
	{"X-MS-Retry-After-Ms", NS_PER_S / 1000},
	/* RFC 9110, 10.2.3 */
	{"Retry-After", NS_PER_S},
	/* MailerLite: https://developers-classic.mailerlite.com/docs/api-rate-limits */
	{"X-RateLimit-Retry-After", NS_PER_S},
	{NULL, 0},
};
