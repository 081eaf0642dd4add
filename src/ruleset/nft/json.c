#include "ruleset/nft/json.h"

struct json_object *nft_get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (object && json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

const char *nft_text(struct json_object *object)
{
	return object && json_object_is_type(object, json_type_string)
		       ? json_object_get_string(object)
		       : "";
}

const char *nft_get_text(struct json_object *object, const char *key)
{
	return nft_text(nft_get(object, key));
}

size_t nft_count(struct json_object *object)
{
	if (object && json_object_is_type(object, json_type_array))
		return json_object_array_length(object);
	return object ? 1 : 0;
}

struct json_object *nft_item(struct json_object *object, size_t i)
{
	return json_object_is_type(object, json_type_array) ? json_object_array_get_idx(object, i)
							    : object;
}
