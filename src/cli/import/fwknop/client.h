/* Stanzas of fwknop's .fwknoprc as profiles of knocktap(1). */
#pragma once

struct fwknop_file;
struct import_result;

/* Writes the whole file of profiles; n_doors of the result counts them. No key is shown. */
void fwknop_import_client(const struct fwknop_file *file, struct import_result *result);
