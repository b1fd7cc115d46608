/* page.c owns the cursor: eight digits that tie it to its question, then the number of the first entry. */
#include "api/page.h"
#include "catalog/text.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_LIMIT_DEFAULT = 100 };

static enum status read_cursor(struct call *call, const char *cursor, struct page *page)
{
    int64_t first = 0;
    size_t check_length = sizeof page->check - 1;
    bool ours = strncmp(cursor, page->check, check_length) == 0;
    if (!ours || !text_parse_int64(cursor + check_length, &first) || first < 0) {
        return problems_add(call->problems, STATUS_INVALID_VALUE, "cursor",
                            "this cursor belongs to other filters or an earlier catalog; start without one");
    }
    page->first = (size_t)first;
    return STATUS_OK;
}

enum status page_open(struct call *call, const struct operation *operation, void *request, struct page_request *asked,
                      struct page *ret_page)
{
    if (asked->limit == VALUE_ABSENT) asked->limit = PAGE_LIMIT_DEFAULT;
    struct page page = {.limit = (size_t)asked->limit};
    const char *cursor = asked->cursor;
    asked->cursor = NULL;
    enum status status = api_answer_id(call, operation, request);
    asked->cursor = cursor;
    if (status != STATUS_OK) return status;
    memcpy(page.check, call->id, sizeof page.check - 1);
    if (cursor) {
        status = read_cursor(call, cursor, &page);
        if (status == STATUS_OK) status = api_answer_id(call, operation, request);
    }
    if (status == STATUS_OK) *ret_page = page;
    return status;
}

bool page_shows(struct page *page)
{
    size_t index = page->matched++;
    return index >= page->first && index - page->first < page->limit;
}

void page_put_end(struct out *out, const struct page *page)
{
    char cursor[40];
    size_t next = page->first + page->limit;
    (void)snprintf(cursor, sizeof cursor, "%s%zu", page->check, next);
    out_integer(out, "total_count", (int64_t)page->matched);
    out_text(out, "next_cursor", next < page->matched ? cursor : NULL);
}

bool page_found(const char *q, const char *const *texts, size_t count)
{
    for (size_t i = 0; q && i < count; i++) {
        if (strcasestr(texts[i], q)) return true;
    }
    return !q;
}
