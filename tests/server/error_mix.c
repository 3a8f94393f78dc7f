#include "tests/server/error_mix.h"

#include <string.h>

#include "tests/server/number.h"

static bool parse_part(char *text, struct error_mix *mix)
{
	char *colon = strchr(text, ':');
	int64_t status;
	double share;

	if (colon == NULL || mix->count == ERROR_MIX_MAX)
		return false;
	*colon = '\0';
	if (!number_parse_whole(text, 400, 599, &status) || !number_parse(colon + 1, 0, 1, &share))
		return false;
	mix->part[mix->count].status = (int)status;
	mix->part[mix->count].share = share;
	mix->count++;
	return true;
}

bool error_mix_parse(const char *text, struct error_mix *out)
{
	struct error_mix mix = {0};
	char copy[256];
	char *rest = NULL;
	double sum = 0;

	if (strlen(text) >= sizeof copy)
		return false;
	strcpy(copy, text);
	for (char *part = strtok_r(copy, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) {
		if (!parse_part(part, &mix))
			return false;
		sum += mix.part[mix.count - 1].share;
	}
	if (mix.count == 0 || sum > 1 + 1e-9)
		return false;
	*out = mix;
	return true;
}

int error_mix_draw(const struct error_mix *mix, struct random *random)
{
	double u;

	if (mix->count == 0)
		return 0;
	u = random_uniform(random);
	for (size_t i = 0; i < mix->count; i++) {
		if (u <= mix->part[i].share)
			return mix->part[i].status;
		u -= mix->part[i].share;
	}
	return 0;
}
