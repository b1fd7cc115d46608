/* client.c owns the reading of addresses, networks and keys. */
#include "http/client.h"

#include "catalog/text.h"
#include "http/query.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ADDRESS_BITS = 128, MAPPED_BITS = 96, NETWORK_BITS_V6 = 64 };

struct network {
    unsigned char bytes[ADDRESS_BITS / 8]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
};

/* An address, perhaps with /bits; the text is `length` bytes long. */
static bool parse_network(const char *text, size_t length, struct network *ret_network)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char address[CLIENT_ADDRESS_BYTES];
    struct network network = {.bits = ADDRESS_BITS};
    const char *slash = memchr(text, '/', length);
    size_t address_length = slash ? (size_t)(slash - text) : length;
    int64_t bits = 0;
    if (address_length >= sizeof address) return false;
    (void)snprintf(address, sizeof address, "%.*s", (int)address_length, text);
    bool four = inet_pton(AF_INET, address, network.bytes + sizeof mapped) == 1;
    if (four)
        memcpy(network.bytes, mapped, sizeof mapped);
    else if (inet_pton(AF_INET6, address, network.bytes) != 1)
        return false;
    if (slash) {
        (void)snprintf(address, sizeof address, "%.*s", (int)(length - address_length - 1), slash + 1);
        if (!text_parse_int64(address, &bits) || bits < 0 || bits > (four ? 32 : ADDRESS_BITS)) return false;
        network.bits = (unsigned)bits + (four ? MAPPED_BITS : 0);
    }
    *ret_network = network;
    return true;
}

static bool contains(const struct network *network, const struct network *address)
{
    size_t whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->bytes, address->bytes, whole) != 0) return false;
    return rest == 0 || (network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool client_networks_valid(const char *const *networks, const char **ret_bad)
{
    struct network network;
    for (; *networks; networks++) {
        if (parse_network(*networks, strlen(*networks), &network)) continue;
        *ret_bad = *networks;
        return false;
    }
    return true;
}

static bool is_trusted(const char *address, size_t length, const char *const *trusted)
{
    struct network one, network;
    if (!parse_network(address, length, &one)) return false;
    for (; *trusted; trusted++) {
        if (parse_network(*trusted, strlen(*trusted), &network) && contains(&network, &one)) return true;
    }
    return false;
}

/* "1.2.3.4:567" and "[::1]:567", as some proxies write them, without the port and brackets. */
static void cut_port(const char **address, size_t *length)
{
    const char *colon = memchr(*address, ':', *length), *last = memrchr(*address, ':', *length);
    const char *bracket = memchr(*address, ']', *length);
    if (**address == '[' && bracket) {
        *length = (size_t)(bracket - *address) - 1;
        (*address)++;
    } else if (colon && colon == last) {
        *length = (size_t)(colon - *address);
    }
}

void client_address(const char *remote, const char *forwarded_for, const char *const *trusted,
                    char ret_address[CLIENT_ADDRESS_BYTES])
{
    const char *found = remote, *end = forwarded_for ? forwarded_for + strlen(forwarded_for) : NULL;
    size_t length = strlen(remote);
    struct network network;
    while (trusted && end && is_trusted(found, length, trusted)) {
        const char *comma = memrchr(forwarded_for, ',', (size_t)(end - forwarded_for));
        const char *begin = comma ? comma + 1 : forwarded_for;
        begin += strspn(begin, " \t");
        size_t given = begin < end ? (size_t)(end - begin) : 0;
        while (given > 0 && (begin[given - 1] == ' ' || begin[given - 1] == '\t'))
            given--;
        if (given > 0) cut_port(&begin, &given);
        if (!parse_network(begin, given, &network) || memchr(begin, '/', given)) break; /* forged or unknown */
        found = begin;
        length = given;
        end = comma;
    }
    (void)snprintf(ret_address, CLIENT_ADDRESS_BYTES, "%.*s", (int)length, found);
}

void client_network(const char *address, char ret_network[CLIENT_ADDRESS_BYTES])
{
    struct in6_addr six;
    bool is_six = inet_pton(AF_INET6, address, &six) == 1;
    if (is_six && IN6_IS_ADDR_V4MAPPED(&six)) { /* as dual-stack proxies write IPv4 */
        if (inet_ntop(AF_INET, &six.s6_addr[MAPPED_BITS / 8], ret_network, CLIENT_ADDRESS_BYTES)) return;
    } else if (is_six) {
        memset(&six.s6_addr[NETWORK_BITS_V6 / 8], 0, sizeof six.s6_addr - NETWORK_BITS_V6 / 8);
        if (inet_ntop(AF_INET6, &six, ret_network, CLIENT_ADDRESS_BYTES)) return;
    }
    (void)snprintf(ret_network, CLIENT_ADDRESS_BYTES, "%s", address);
}

const char *client_bearer(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) return NULL;
    return authorization + sizeof scheme - 1 + strspn(authorization + sizeof scheme - 1, " ");
}

/* "key", in whatever way its letters are escaped. */
static bool is_key_name(const char *name, size_t length)
{
    static const char wanted[] = "key";
    char decoded[3 * sizeof wanted];
    size_t decoded_length = 0;
    return length < sizeof decoded && query_decode(name, length, true, decoded, &decoded_length) &&
           strcmp(decoded, wanted) == 0;
}

size_t client_take_key(char *uri, size_t *length, char ret_key[CLIENT_KEY_BYTES])
{
    size_t count = 0, decoded_length = 0;
    char *part = strchr(uri, '?'), decoded[CLIENT_KEY_BYTES];
    ret_key[0] = '\0';
    while (part && *part) { /* at the '?' or '&' before a pair */
        size_t pair = strcspn(part + 1, "&"), name = strcspn(part + 1, "=&");
        if (!is_key_name(part + 1, name)) {
            part += 1 + pair;
            continue;
        }
        const char *value = part + 1 + name + (name < pair);
        size_t value_length = name < pair ? pair - name - 1 : 0;
        bool read = value_length < sizeof decoded && query_decode(value, value_length, true, decoded, &decoded_length);
        (void)snprintf(ret_key, CLIENT_KEY_BYTES, "%.*s", (int)(read ? decoded_length : value_length),
                       read ? decoded : value);
        char *rest = part + 1 + pair, *to = *rest == '&' ? part + 1 : part; /* one separator goes with it */
        if (*rest == '&') rest++;
        memmove(to, rest, strlen(rest) + 1);
        *length = strlen(uri);
        count++;
    }
    return count;
}
