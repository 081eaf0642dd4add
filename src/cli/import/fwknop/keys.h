/* Keys for the users that an access.conf names. */
#pragma once

struct fwknop_users;

/* Makes a key for each user in the directory, for this machine's realm, as `knocktail keygen` does,
 * and says so; a key that is there stays. 0 or a negative errno, of which it has complained. */
int fwknop_make_keys(const struct fwknop_users *users, const char *directory);
