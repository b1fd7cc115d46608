/* json_pages.h owns reading pages of JSON of any number in constant memory: {"Items": [{…}, …], "NextPageLink": …}, one
 * after another or in a list. */
#pragma once
#include "import/import.h"

struct json_pages {
    const struct import_source *source; /* of which only `read` and `context` count */
    struct problems *problems;
    const char *const *names; /* of the members of an item that are wanted */
    size_t name_count;
    void *context;
    /* One item, from 1: the texts of its members in the order of the names, NULL where there is none; only for the
     * call. What is not STATUS_OK ends the reading. NULL: only the pages are of interest. */
    enum status (*item)(void *context, uint32_t number, const char *const *members);
    char next_page[IMPORT_URL_BYTES]; /* what the last page says; "" if it is the last of all */
};

/* STATUS_INVALID_VALUE when the file is no such pages, or is cut off. */
enum status json_pages_read(struct json_pages *pages) MUST_CHECK;
