/* What a page is asked for: on the command line, and by the configuration. */
#pragma once

#include "cli/verb.h"
#include "core/door.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

enum { PAGE_HOSTS_MAX = 8, PAGE_DOORS_MAX = 32, PAGE_HOST_MAX = 253, PAGE_URL_MAX = 1000 };

struct page_wish {
	const char *file; /* NULL: no page */
	const char *url;  /* where it will be served */
	size_t n_hosts, n_doors;
	char hosts[PAGE_HOSTS_MAX][PAGE_HOST_MAX + 1]; /* an IPv6 address has no brackets */
	char doors[PAGE_DOORS_MAX][DOOR_NAME_MAX + 1];
	bool has_no_passphrase, qr;
};

/* For rows of options with this wish as their userdata. 0; -EINVAL after a complaint. */
int page_wish_add_host(const char *argument, void *wish);
int page_wish_add_door(const char *argument, void *wish);

/* What is wrong with it in itself; NULL: nothing. */
const char *page_wish_fault(const struct page_wish *wish);

/* A door as the page shows it. */
struct page_door {
	char name[DOOR_NAME_MAX + 1];
	uint64_t seconds; /* for which it opens; 0: not known */
	struct port_set ports;
};

struct page_content {
	size_t n_hosts, n_doors;
	char hosts[PAGE_HOSTS_MAX][PAGE_HOST_MAX + 1];
	struct page_door doors[PAGE_DOORS_MAX];
};

/* The hosts and the doors: those that were asked for, or else this machine, and all that the user
 * can open with a token from a browser. Without a configuration (NULL) all doors are believed.
 * STATUS_OK, or another one after a complaint. */
enum status page_wish_resolve(const struct page_wish *wish, const struct verb *verb,
			      const struct config *config, const char *user,
			      struct page_content *ret);
