#include "format/pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "util/cleanup.h"

/* Far above what any line needs (tests run the longest). */
enum { MATCH_LIMIT = 20000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 256 };

/* The interpreter (there is no other where memory may not be both written and executed) keeps its
 * frames in blocks that it asks for as it goes, and exchanges for larger ones. They come from here,
 * so that no line makes the process grow: two at a time are enough for an exchange. */
enum { N_BLOCKS = 2, BLOCK_BYTES = (HEAP_LIMIT_KIB + 4) * 1024 };

struct block {
	bool taken;
	void *memory;
};

struct pattern {
	const char *text; /* what was matched last */
	struct block blocks[N_BLOCKS];
	bool built; /* from here on memory comes from the blocks */
	pcre2_general_context *general;
	pcre2_code *code;
	pcre2_match_data *match_data;
	pcre2_match_context *context;
	int groups[PATTERN_GROUPS_MAX]; /* their numbers in the expression; 0: it has no such */
};

DEFINE_CLEANUP(struct pattern *, pattern_free)

static void *take_block(PCRE2_SIZE size, void *userdata)
{
	struct pattern *pattern = userdata;

	if (!pattern->built)
		return malloc(size);
	for (size_t i = 0; i < N_BLOCKS; i++) {
		struct block *block = &pattern->blocks[i];

		if (block->taken || size > BLOCK_BYTES)
			continue;
		block->taken = true;
		return block->memory;
	}
	return NULL;
}

static void give_block(void *memory, void *userdata)
{
	struct pattern *pattern = userdata;

	for (size_t i = 0; i < N_BLOCKS; i++) {
		if (memory && pattern->blocks[i].memory == memory) {
			pattern->blocks[i].taken = false;
			return;
		}
	}
	free(memory);
}

struct pattern *pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return NULL;
	pcre2_match_context_free(pattern->context);
	pcre2_match_data_free(pattern->match_data);
	pcre2_code_free(pattern->code);
	pcre2_general_context_free(pattern->general);
	for (size_t i = 0; i < N_BLOCKS; i++)
		free(pattern->blocks[i].memory);
	free(pattern);
	return NULL;
}

/* The end of the character class that begins at `text`. */
static const char *skip_class(const char *text)
{
	text += text[1] == '^' ? 2 : 1;
	for (const char *first = text; *text && (*text != ']' || text == first); text++) {
		const char *end = text[0] == '[' && text[1] == ':' ? strstr(text + 2, ":]") : NULL;

		if (end)
			text = end + 1;
		else if (text[0] == '\\' && text[1])
			text++;
	}
	return text;
}

/* "{,3}" and "{ 1, 3 }": a repetition to PCRE2 10.43 and later (Debian 13), text to those before
 * (10.42, Debian 12). */
static bool is_ambiguous(const char *brace)
{
	size_t length = strspn(brace + 1, "0123456789, \t");
	const char *text = brace + 1, *digit = strpbrk(text, "0123456789");

	if (text[length] != '}' || !digit || digit > text + length)
		return false;
	return text[0] == ',' || memchr(text, ' ', length) || memchr(text, '\t', length);
}

/* The first such brace; NULL: none. */
static const char *find_ambiguous(const char *text)
{
	while (*text) {
		if (text[0] == '\\' && text[1] == 'Q') {
			text = strstr(text, "\\E");
			if (!text)
				return NULL;
		}
		if (text[0] == '{' && is_ambiguous(text))
			return text;
		if (text[0] == '[')
			text = skip_class(text);
		else
			text += text[0] == '\\' && text[1] ? 2 : 1;
	}
	return NULL;
}

static int refuse_ambiguous(const char *expression, struct pattern_error *error)
{
	const char *found = find_ambiguous(expression);

	if (!found)
		return 0;
	error->offset = (size_t)(found - expression);
	snprintf(error->text, sizeof error->text,
		 "'{' is text to PCRE2 before 10.43 here, and a repetition since: write {0,3}, "
		 "{1,3} or \\{");
	return -EINVAL;
}

static int pattern_compile(struct pattern *pattern, const char *expression,
			   struct pattern_error *error)
{
	int code;

	pattern->code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
				      PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
					      PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C,
				      &code, &error->offset, NULL);
	if (!pattern->code) {
		pcre2_get_error_message(code, (PCRE2_UCHAR *)error->text, sizeof error->text);
		return code == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EINVAL;
	}
	/* It fails where memory may not be both written and executed; the interpreter does then. */
	(void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
	return 0;
}

static int pattern_prepare(struct pattern *pattern)
{
	for (size_t i = 0; i < N_BLOCKS; i++) {
		pattern->blocks[i].memory = malloc(BLOCK_BYTES);
		if (!pattern->blocks[i].memory)
			return -ENOMEM;
	}
	pattern->general = pcre2_general_context_create(take_block, give_block, pattern);
	if (!pattern->general)
		return -ENOMEM;
	pattern->match_data = pcre2_match_data_create_from_pattern(pattern->code, pattern->general);
	pattern->context = pcre2_match_context_create(pattern->general);
	if (!pattern->match_data || !pattern->context)
		return -ENOMEM;
	pcre2_set_match_limit(pattern->context, MATCH_LIMIT);
	pcre2_set_depth_limit(pattern->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(pattern->context, HEAP_LIMIT_KIB);
	pattern->built = true;
	return 0;
}

static int number_groups(struct pattern *pattern, const char *const *names,
			 struct pattern_error *error)
{
	for (size_t i = 0; names[i]; i++) {
		int number = pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)names[i]);

		if (number == PCRE2_ERROR_NOUNIQUESUBSTRING) {
			snprintf(error->text, sizeof error->text,
				 "the group %s has more than one number: use (?|...)", names[i]);
			return -EINVAL;
		}
		pattern->groups[i] = number > 0 ? number : 0;
	}
	return 0;
}

int pattern_new(const char *expression, const char *const *names, struct pattern_error *ret_error,
		struct pattern **ret)
{
	CLEANUP(cleanup_pattern_free) struct pattern *pattern = calloc(1, sizeof *pattern);
	struct pattern_error error = {0};
	int r;

	if (!pattern)
		return -ENOMEM;
	r = refuse_ambiguous(expression, &error);
	if (r == 0)
		r = pattern_compile(pattern, expression, &error);
	if (r == 0)
		r = number_groups(pattern, names, &error);
	if (r == 0)
		r = pattern_prepare(pattern);
	if (r == -EINVAL)
		*ret_error = error;
	if (r == 0)
		*ret = TAKE_PTR(pattern);
	return r;
}

bool pattern_has(const struct pattern *pattern, size_t group)
{
	return pattern->groups[group] > 0;
}

enum pattern_verdict pattern_match(struct pattern *pattern, const char *text, size_t length)
{
	int r = pcre2_match(pattern->code, (PCRE2_SPTR)text, length, 0, 0, pattern->match_data,
			    pattern->context);

	pattern->text = text;
	if (r > 0)
		return PATTERN_MATCHES;
	return r == PCRE2_ERROR_NOMATCH ? PATTERN_DIFFERS : PATTERN_EXHAUSTED;
}

struct text_span pattern_group(const struct pattern *pattern, size_t group)
{
	const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(pattern->match_data);
	size_t i = 2 * (size_t)pattern->groups[group];

	if (i == 0 || offsets[i] == PCRE2_UNSET)
		return (struct text_span){0};
	return (struct text_span){pattern->text + offsets[i], offsets[i + 1] - offsets[i]};
}
