/* MUST: the policy lets the page run what is in it and knock at its hosts, and nothing else. A key
 * that is not sealed is copied once, to where it is handed over. */
#include "cli/page/compose.h"

#include <errno.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/common/json.h"
#include "cli/page/parts.h"
#include "cli/page/wish.h"
#include "util/cleanup.h"
#include "util/text/stream.h"

/* What stands between the tags, newline included, is what a browser hashes. */
static void put_hash(FILE *file, const char *text)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char base64[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_ORIGINAL)];

	crypto_hash_sha256(hash, (const uint8_t *)text, strlen(text));
	sodium_bin2base64(base64, sizeof base64, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL);
	fprintf(file, "'sha256-%s'", base64);
}

/* An IPv6 address has no place in a policy (CSP Level 3, 2.3.1): with one, any host over https. */
static void put_sources(FILE *file, const struct page_content *content)
{
	for (size_t i = 0; i < content->n_hosts; i++)
		if (strchr(content->hosts[i], ':')) {
			fputs(" https:", file);
			return;
		}
	for (size_t i = 0; i < content->n_hosts; i++)
		fprintf(file, " https://%s:*", content->hosts[i]);
}

static void put_policy(FILE *file, const struct page_content *content)
{
	fputs("default-src 'none'; script-src ", file);
	put_hash(file, page_js);
	fputs("; style-src ", file);
	put_hash(file, page_css);
	fputs("; img-src data:; connect-src", file);
	put_sources(file, content);
	fputs("; base-uri 'none'; form-action 'none'", file);
}

static struct json_object *door_describe(const struct page_door *door)
{
	struct json_object *object = json_object_new_object();
	struct json_object *ports = json_object_new_array();

	for (size_t i = 0; i < door->ports.n_ranges; i++) {
		const struct port_range *range = &door->ports.ranges[i];

		if (range->first == range->last && range->protocol == IPPROTO_TCP)
			json_object_array_add(ports, json_object_new_int(range->first));
	}
	json_object_object_add(object, "name", json_object_new_string(door->name));
	json_object_object_add(object, "seconds", json_object_new_int64((int64_t)door->seconds));
	json_object_object_add(object, "ports", ports);
	return object;
}

static void put_data(FILE *file, const struct page_content *content, uint64_t now_s)
{
	struct json_object *object = json_object_new_object();
	struct json_object *hosts = json_object_new_array();
	struct json_object *doors = json_object_new_array();

	for (size_t i = 0; i < content->n_hosts; i++)
		json_object_array_add(hosts, json_object_new_string(content->hosts[i]));
	for (size_t i = 0; i < content->n_doors; i++)
		json_object_array_add(doors, door_describe(&content->doors[i]));
	json_object_object_add(object, "hosts", hosts);
	json_object_object_add(object, "doors", doors);
	json_object_object_add(object, "made", json_object_new_int64((int64_t)now_s));
	fputs(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), file);
	json_object_put(object);
}

/* Fills in what stands between two @ signs. The key is left out, and its place reported: a file in
 * memory is copied wherever it grows. */
static void put_page(FILE *file, const struct page_content *content, uint64_t now_s, long *ret_key)
{
	for (const char *text = page_html; *text;) {
		if (strncmp(text, "@POLICY@", 8) == 0)
			put_policy(file, content);
		else if (strncmp(text, "@STYLES@", 8) == 0)
			fputs(page_css, file);
		else if (strncmp(text, "@SCRIPT@", 8) == 0)
			fputs(page_js, file);
		else if (strncmp(text, "@SEALED@", 8) == 0)
			*ret_key = ftell(file);
		else if (strncmp(text, "@RECORD@", 8) == 0)
			put_data(file, content, now_s);
		else {
			putc(*text++, file);
			continue;
		}
		text += 8;
	}
}

int page_compose(const struct page_content *content, const char *key_line, uint64_t now_s,
		 char **ret_text, size_t *ret_size)
{
	CLEANUP(cleanup_free) char *rest = NULL;
	size_t size = 0, length = strlen(key_line);
	FILE *file = text_stream_open(&rest, &size);
	long place = 0;
	char *text;

	if (!file)
		return -ENOMEM;
	put_page(file, content, now_s, &place);
	if (fclose(file) != 0 || place < 0)
		return -ENOMEM;
	text = malloc(size + length + 1);
	if (!text)
		return -ENOMEM;
	snprintf(text, size + length + 1, "%.*s%s%s", (int)place, rest, key_line, rest + place);
	*ret_text = text;
	*ret_size = size + length;
	return 0;
}
