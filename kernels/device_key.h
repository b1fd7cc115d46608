/* device_key.h owns the name under which a GPU is known without telling which it is. */
#pragma once
#include <stddef.h>

enum { DEVICE_KEY_BYTES = 17 };
/* 16 hexadecimal digits of HMAC-SHA256(secret, uuid): the same GPU has the same key wherever the secret is the same,
 * and nobody without it can tell the UUID. "" if the library of hashes does not work. */
void device_key(const char *secret, size_t secret_length, const char *uuid, char ret_key[DEVICE_KEY_BYTES]);
