/* The values of the configuration: one parser for each kind, all with the contract of key.parse. */
#pragma once

struct key_reading;

/* Room for a list of choices and its NUL. */
enum { CHOICES_TEXT_MAX = 128 };

int parse_number(const struct key_reading *reading, const char *text, void *field);
int parse_prefix_length(const struct key_reading *reading, const char *text, void *field);
int parse_span(const struct key_reading *reading, const char *text, void *field);
int parse_seconds(const struct key_reading *reading, const char *text, void *field);
int parse_choice(const struct key_reading *reading, const char *text, void *field);
int parse_path(const struct key_reading *reading, const char *text, void *field);

int parse_prefix(const struct key_reading *reading, const char *text, void *field);
int parse_sequence(const struct key_reading *reading, const char *text, void *field);
int parse_flags(const struct key_reading *reading, const char *text, void *field);
int parse_interface(const struct key_reading *reading, const char *text, void *field);
int parse_target(const struct key_reading *reading, const char *text, void *field);
int parse_allow(const struct key_reading *reading, const char *text, void *field);

int parse_one_time(const struct key_reading *reading, const char *text, void *field);
int parse_auth(const struct key_reading *reading, const char *text, void *field);
int parse_realm(const struct key_reading *reading, const char *text, void *field);
int parse_users(const struct key_reading *reading, const char *text, void *field);
int parse_log(const struct key_reading *reading, const char *text, void *field);

int parse_matches(const struct key_reading *reading, const char *text, void *field);
int parse_pattern(const struct key_reading *reading, const char *text, void *field);

int parse_set(const struct key_reading *reading, const char *text, void *field);
int parse_any_set(const struct key_reading *reading, const char *text, void *field);
int parse_entry(const struct key_reading *reading, const char *text, void *field);
int parse_nft_set(const struct key_reading *reading, const char *text, void *field);
int parse_nft_entry(const struct key_reading *reading, const char *text, void *field);
int parse_ports(const struct key_reading *reading, const char *text, void *field);
int parse_forward(const struct key_reading *reading, const char *text, void *field);
int parse_forward_6(const struct key_reading *reading, const char *text, void *field);
int parse_chain(const struct key_reading *reading, const char *text, void *field);
int parse_command(const struct key_reading *reading, const char *text, void *field);

/* Complains that the text is not what the format says, and returns -EBADMSG. */
int parse_reject(const struct key_reading *reading, const char *text, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes "a, b or c" and returns `text`. */
const char *parse_list_choices(const char *const *choices, char text[static CHOICES_TEXT_MAX]);
