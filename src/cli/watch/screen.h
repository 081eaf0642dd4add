/* The screen of `watch`: the whole terminal, for as long as it runs.
 *
 * MUST: put the terminal back as it was, however `watch` ends but for SIGKILL. */
#pragma once

#include "cli/watch/model.h"

#include <stdint.h>

/* Takes the terminal and gives it back; both may be called again, in any order. */
void screen_enter(void);
void screen_leave(void);

/* Redraws everything, as large as the terminal is now. */
void screen_draw(const struct watch_model *model, uint64_t now_us);
