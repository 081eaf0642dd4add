/* The position: how far the journal has been read, on file for the next daemon.
 *
 * MUST: nothing that a daemon has acted on is acted on again by its successor. So the position is
 * written before a match is acted on; what comes after it has opened nothing yet. MUST: hold for
 * one boot only. So it belongs into memory (/run), where no disk holds up whoever writes it. */
#pragma once

struct position;
struct input_position;

/* The position in that directory, which is created if missing. Copies the boot's id. 0 or a
 * negative errno. */
int position_new(const char *directory, const char *boot_id, struct position **ret);
struct position *position_free(struct position *position);

/* What a predecessor has written. 0; -ENOENT: nothing; -ESTALE: another boot's; -EBADMSG: not a
 * position; another negative errno. */
int position_read(const struct position *position, struct input_position *ret);

/* Replaces it as a whole. After a negative errno none is left, so that no successor takes an old
 * one for the last. */
int position_write(struct position *position, const struct input_position *place);
