/* page.h owns pagination of lists: `limit`, an opaque `cursor`, and what the answer says about them. */
#pragma once
#include "api/common.h"

struct page_request {
    int64_t limit;
    const char *cursor;
};

#define PAGE_FIELDS(type)                                                                                              \
    {.name = "limit",                                                                                                  \
     .group = "",                                                                                                      \
     .kind = FIELD_INTEGER,                                                                                            \
     .offset = offsetof(type, page.limit),                                                                             \
     .min = 1,                                                                                                         \
     .max = 1000,                                                                                                      \
     .preset = "100",                                                                                                  \
     .help = "Most entries of one answer."},                                                                           \
    {                                                                                                                  \
        .name = "cursor", .group = "", .kind = FIELD_TEXT, .offset = offsetof(type, page.cursor),                      \
        .help = "next_cursor of the answer before; it holds for the same filters and the same catalog."                \
    }
#define LIST_FIELD_ID(type)                                                                                            \
    {                                                                                                                  \
        .name = "id", .group = "", .kind = FIELD_TEXT, .offset = offsetof(type, id),                                   \
        .help = "Only the entries that this id or alias means."                                                        \
    }
#define LIST_FIELD_SEARCH(type)                                                                                        \
    {                                                                                                                  \
        .name = "q", .group = "", .kind = FIELD_TEXT, .offset = offsetof(type, q),                                     \
        .help = "Only entries whose id, name or family contains this text, any case."                                  \
    }

struct page {
    size_t first, limit, matched;
    char check[9]; /* of filters and catalog: a cursor of another question is refused */
};

/* Fills in the default of limit, reads the cursor, sets call->id. `request` holds *asked. */
enum status page_open(struct call *call, const struct operation *operation, void *request, struct page_request *asked,
                      struct page *ret_page) MUST_CHECK;
/* Counts one entry that matches; true if it belongs to this page. */
bool page_shows(struct page *page);
/* Members total_count and next_cursor. */
void page_put_end(struct out *out, const struct page *page);
/* True if any of the texts contains `q`, any case, or q is NULL. */
bool page_found(const char *q, const char *const *texts, size_t count);
