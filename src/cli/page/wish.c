/* MUST: a name that gets into a page has no character in it that HTML, JSON or a
 * Content-Security-Policy could take for anything else. */
#include "cli/page/wish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "util/clock.h"

/* Of names of hosts; a door's may have an underscore, too. */
static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
static const char door_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";

static bool host_is_address(const char *text)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* A name of DNS (RFC 1123), in lower case: one with an underscore has no place in a policy. The
 * last label is not a number: it would be taken for an address. */
static bool host_is_name(const char *text)
{
	const char *label = text;

	if (strlen(text) > PAGE_HOST_MAX)
		return false;
	for (;;) {
		size_t length = strspn(label, name_characters);

		if (length == 0 || length > 63 || label[0] == '-' || label[length - 1] == '-')
			return false;
		if (label[length] == '\0')
			return strspn(label, "0123456789") < length && strncmp(label, "0x", 2) != 0;
		if (label[length] != '.')
			return false;
		label += length + 1;
	}
}

/* In lower case, and without the brackets of an IPv6 address or the dot at the end of a name. */
static int host_take(const char *text, char ret[static PAGE_HOST_MAX + 1])
{
	char host[PAGE_HOST_MAX + 3];
	size_t length = strlen(text);

	if (length > 2 && text[0] == '[' && text[length - 1] == ']' && strchr(text, ':')) {
		text++;
		length -= 2;
	} else if (length > 1 && text[length - 1] == '.') {
		length--;
	}
	if (length > PAGE_HOST_MAX)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		host[i] =
			(char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
	host[length] = '\0';
	if (!host_is_address(host) && !host_is_name(host))
		return -EINVAL;
	memcpy(ret, host, length + 1);
	return 0;
}

int page_wish_add_host(const char *argument, void *userdata)
{
	struct page_wish *wish = userdata;
	char host[PAGE_HOST_MAX + 1] = "";

	if (host_take(argument, host) < 0) {
		fprintf(stderr, "knocktail: --host: '%s' is not the name or address of a host\n",
			argument);
		return -EINVAL;
	}
	if (wish->n_hosts == PAGE_HOSTS_MAX) {
		fprintf(stderr, "knocktail: --host: a page has %d hosts at most\n", PAGE_HOSTS_MAX);
		return -EINVAL;
	}
	memcpy(wish->hosts[wish->n_hosts++], host, sizeof host);
	return 0;
}

/* As the configuration spells it, and knows it. */
static int door_name_take(const char *text, char ret[static DOOR_NAME_MAX + 1])
{
	size_t length = strlen(text);
	char name[DOOR_NAME_MAX + 1];

	if (length == 0 || length > DOOR_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i <= length; i++)
		name[i] =
			(char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
	if (strspn(name, door_characters) < length)
		return -EINVAL;
	memcpy(ret, name, length + 1);
	return 0;
}

int page_wish_add_door(const char *argument, void *userdata)
{
	struct page_wish *wish = userdata;
	char name[DOOR_NAME_MAX + 1] = "";

	if (door_name_take(argument, name) < 0) {
		fprintf(stderr, "knocktail: --door: '%s' is not the name of a door\n", argument);
		return -EINVAL;
	}
	if (wish->n_doors == PAGE_DOORS_MAX) {
		fprintf(stderr, "knocktail: --door: a page has %d doors at most\n", PAGE_DOORS_MAX);
		return -EINVAL;
	}
	memcpy(wish->doors[wish->n_doors++], name, sizeof name);
	return 0;
}

static bool url_is_good(const char *url)
{
	size_t length = strlen(url);

	if (strncmp(url, "https://", 8) != 0 || length == 8 || length > PAGE_URL_MAX)
		return false;
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return true;
}

const char *page_wish_fault(const struct page_wish *wish)
{
	if (!wish->file &&
	    (wish->n_hosts > 0 || wish->n_doors > 0 || wish->url || wish->has_no_passphrase))
		return "--host, --door, --url and --no-passphrase are for a page, and need --page";
	if (wish->file && !*wish->file)
		return "the page's file has no name";
	if (wish->url && !url_is_good(wish->url))
		return "--url needs an address that begins with https:// (browsers have no "
		       "cryptography for a page that comes over plain http)";
	return NULL;
}

static enum status resolve_hosts(const struct page_wish *wish, const struct verb *verb,
				 struct page_content *ret)
{
	char own[PAGE_HOST_MAX + 1] = "";

	memcpy(ret->hosts, wish->hosts, sizeof ret->hosts);
	ret->n_hosts = wish->n_hosts;
	if (ret->n_hosts > 0)
		return STATUS_OK;
	if (gethostname(own, sizeof own - 1) == 0 && strchr(own, '.') &&
	    host_take(own, ret->hosts[0]) == 0) {
		ret->n_hosts = 1;
		return STATUS_OK;
	}
	fprintf(stderr,
		"knocktail %s: this machine is called '%s', which is not a name that others reach "
		"it by: say which host the page knocks at (--host NAME)\n",
		verb->name, own);
	return STATUS_USAGE;
}

/* Why a browser cannot open this door with the user's key; NULL: it can. */
static const char *door_fault(const struct door *door, const char *user)
{
	if (!(door->auth & AUTH_TOKEN))
		return "takes no tokens (auth), and a browser can send nothing else";
	if (!door_has_user(door, user))
		return "is not for this user (users)";
	if (door->bind_source == BIND_YES)
		return "takes bound knocks alone (bind_source), and a browser does not know which "
		       "address of its own a server sees";
	return NULL;
}

static void content_add_door(struct page_content *content, const char *name,
			     const struct door *door)
{
	struct page_door *added = &content->doors[content->n_doors];

	for (size_t i = 0; i < content->n_doors; i++)
		if (strcmp(content->doors[i].name, name) == 0)
			return;
	*added = (struct page_door){.seconds = door ? door->timeout_us / US_PER_S : 0};
	if (door)
		added->ports = door->opening.ports;
	memcpy(added->name, name, strlen(name) + 1);
	content->n_doors++;
}

static enum status resolve_named_door(const char *name, const struct verb *verb,
				      const struct config *config, const char *user,
				      struct page_content *ret)
{
	const struct door *door = config ? config_find_door(config, name) : NULL;
	const char *fault = !config ? NULL
			    : door  ? door_fault(door, user)
				    : "is not in the configuration";

	if (fault) {
		fprintf(stderr, "knocktail %s: the door %s %s\n", verb->name, name, fault);
		return STATUS_USAGE;
	}
	content_add_door(ret, name, door);
	return STATUS_OK;
}

static enum status resolve_doors(const struct page_wish *wish, const struct verb *verb,
				 const struct config *config, const char *user,
				 struct page_content *ret)
{
	enum status status = STATUS_OK;

	ret->n_doors = 0;
	for (size_t i = 0; status == STATUS_OK && i < wish->n_doors; i++)
		status = resolve_named_door(wish->doors[i], verb, config, user, ret);
	if (status != STATUS_OK || wish->n_doors > 0)
		return status;
	for (size_t i = 0; config && i < config->n_doors && ret->n_doors < PAGE_DOORS_MAX; i++)
		if (!door_fault(&config->doors[i], user))
			content_add_door(ret, config->doors[i].name, &config->doors[i]);
	if (ret->n_doors > 0)
		return STATUS_OK;
	if (config)
		fprintf(stderr,
			"knocktail %s: the configuration has no door that %s could open from a "
			"browser: one with auth = token, this user among its users, and not "
			"bind_source = yes\n",
			verb->name, user);
	else
		fprintf(stderr,
			"knocktail %s: without the configuration a page needs --door NAME\n",
			verb->name);
	return STATUS_USAGE;
}

enum status page_wish_resolve(const struct page_wish *wish, const struct verb *verb,
			      const struct config *config, const char *user,
			      struct page_content *ret)
{
	enum status status = resolve_hosts(wish, verb, ret);

	return status == STATUS_OK ? resolve_doors(wish, verb, config, user, ret) : status;
}
