/* device_key.c owns HMAC-SHA256, by libsodium. */
#include "kernels/device_key.h"

#include <sodium.h>
#include <string.h>

void device_key(const char *secret, size_t secret_length, const char *uuid, char ret_key[DEVICE_KEY_BYTES])
{
    unsigned char digest[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    ret_key[0] = '\0';
    if (sodium_init() < 0) return;
    (void)crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, secret_length);
    (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)uuid, strlen(uuid));
    (void)crypto_auth_hmacsha256_final(&state, digest);
    (void)sodium_bin2hex(ret_key, DEVICE_KEY_BYTES, digest, (DEVICE_KEY_BYTES - 1) / 2);
}
