/* What was closed, on disk, so that no older word opens it after a restart. */
#pragma once

struct ledger;

/* Takes it into the ledger; what is damaged is left out. 0 or a negative errno. */
int closed_file_load(const char *directory, struct ledger *ledger);
int closed_file_save(const char *directory, const struct ledger *ledger);
