/* A stream into memory. Other than open_memstream(3), it does not lose what memory ran out for. */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* A stream whose text, with a NUL behind it that does not count, is *ret_text from here on, and
 * after each fflush(3) and fclose(3) as a whole; it is the caller's, and moves while it grows. Its
 * size goes to *ret_size unless that is NULL. When fclose() has returned anything but 0, memory ran
 * out: *ret_text is NULL then. ftell(3) works, moving about does not. NULL: no memory, and
 * *ret_text is NULL, too. */
FILE *text_stream_open(char **ret_text, size_t *ret_size);
