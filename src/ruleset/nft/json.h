/* What nft prints as JSON (libnftables-json(5)), looked into: whatever is there, or not. */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

/* The member of an object; NULL: there is none, or it is not an object. */
struct json_object *nft_get(struct json_object *object, const char *key);

/* The text of a string, or of a member that is one; "" of anything else. */
const char *nft_text(struct json_object *object);
const char *nft_get_text(struct json_object *object, const char *key);

/* One or several, as an array or alone; none of NULL. */
size_t nft_count(struct json_object *object);
struct json_object *nft_item(struct json_object *object, size_t i);
