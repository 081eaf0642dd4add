/* The text of a page. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct page_content;

/* The whole page, to be freed (and wiped, if the line is not sealed). `key_line` is one of
 * core/sealed/line.h. 0 or -ENOMEM. */
int page_compose(const struct page_content *content, const char *key_line, uint64_t now_s,
		 char **ret_text, size_t *ret_size);
