#include "core/user.h"

#include <string.h>

bool user_is_name(const char *text)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t length = strspn(text, others);

	return length > 0 && length <= USER_NAME_MAX && text[length] == '\0' &&
	       strchr(first, text[0]);
}
