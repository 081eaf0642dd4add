#include "util/number.h"

#include <errno.h>

enum { DIGITS_MAX = 18 }; /* 10^18 fits into 64 bits */

int number_parse(const char *text, size_t length, uint64_t *ret)
{
	uint64_t value = 0;

	if (length == 0 || length > DIGITS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = value;
	return 0;
}
