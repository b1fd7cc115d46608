/* client.h owns who speaks: the address of a client behind proxies, and the key that its request carries. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { CLIENT_ADDRESS_BYTES = 46, CLIENT_KEY_BYTES = 128 };

/* Whether every entry is an address or a network: "10.0.0.0/8", "::1"; the list is NULL-terminated. */
bool client_networks_valid(const char *const *networks, const char **ret_bad);
/* `remote`, or, if that is a trusted proxy, the last address of X-Forwarded-For (NULL: none) that is not one. */
void client_address(const char *remote, const char *forwarded_for, const char *const *trusted,
                    char ret_address[CLIENT_ADDRESS_BYTES]);
/* What limits count by: an IPv6 client has a whole /64 network of addresses, ::ffff:1.2.3.4 is 1.2.3.4. */
void client_network(const char *address, char ret_network[CLIENT_ADDRESS_BYTES]);

/* The key of "Authorization: Bearer …" (NULL: no such header), or NULL: other schemes are not for us. */
const char *client_bearer(const char *authorization);
/* Takes the parameter `key` out of the raw URI in place, so that it gets into no log, cache or answer. Returns how many
 * there were; the last one's value, percent-decoded, is in ret_key, or as much of it as shows that it is no key. */
size_t client_take_key(char *uri, size_t *length, char ret_key[CLIENT_KEY_BYTES]);
