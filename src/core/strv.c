#include "core/strv.h"

#include <stdlib.h>
#include <string.h>

char **strv_free(char **strv)
{
	if (!strv)
		return NULL;
	for (char **string = strv; *string; string++)
		free(*string);
	free(strv);
	return NULL;
}

bool strv_equal(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}
