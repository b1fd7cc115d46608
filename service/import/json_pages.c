/* json_pages.c owns the cutting of pages: an item is parsed as soon as it is whole, and what is left of its page, a 0
 * in the place of each item, when the page ends. So neither a page nor a file is ever in memory. */
#include "import/json_pages.h"

#include "catalog/csv.h"
#include "catalog/text.h"
#include "wire/json_read.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 64 << 10,
    ITEM_BYTES_MAX = 64 << 10,
    PAGE_BYTES_MAX = 256 << 10, /* without its items */
    ITEM_DEPTH = 2,             /* a page's list of items */
};

struct cutting {
    struct json_pages *pages;
    unsigned list;  /* 1 within a list of pages */
    unsigned depth; /* of open brackets, without that list's */
    bool quoted, escaped;
    uint32_t page_number, item_number; /* from 1 */
    size_t items;                      /* of the page */
    size_t page_length, item_length;
    char block[BLOCK_BYTES], page[PAGE_BYTES_MAX], item[ITEM_BYTES_MAX];
};

static enum status refuse_page(const struct cutting *cutting, const char *reason)
{
    return problems_add(cutting->pages->problems, STATUS_INVALID_VALUE, "file", "page %u: %s", cutting->page_number,
                        reason);
}

static enum status parse(const struct cutting *cutting, const char *what, uint32_t number, const char *text,
                         size_t length, json_t **ret_object)
{
    json_error_t error;
    json_t *object = json_parse(text, length, JSON_REJECT_DUPLICATES, &error);
    if (object) {
        *ret_object = object;
        return STATUS_OK;
    }
    if (json_lacked_memory(&error))
        return problems_add(cutting->pages->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the file");
    return problems_add(cutting->pages->problems, STATUS_INVALID_VALUE, "file", "%s %u: %s", what, number, error.text);
}

/* --- items --- */

/* Numbers as the text that reads back the same; what nests is of no interest. */
static const char *member_text(const json_t *member, char room[NUMBER_TEXT_BYTES])
{
    if (!member) return NULL;
    if (json_is_string(member)) return json_string_value(member);
    if (json_is_true(member)) return "true";
    if (json_is_false(member)) return "false";
    if (!json_is_number(member)) return "";
    (void)text_format_double(json_number_value(member), room);
    return room;
}

static enum status end_item(struct cutting *cutting)
{
    struct json_pages *pages = cutting->pages;
    const char *members[CSV_FIELDS_MAX];
    char rooms[CSV_FIELDS_MAX][NUMBER_TEXT_BYTES];
    json_t *item = NULL;
    cutting->items++;
    cutting->item_number++;
    enum status status = parse(cutting, "item", cutting->item_number, cutting->item, cutting->item_length, &item);
    cutting->item_length = 0;
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < pages->name_count; i++)
        members[i] = member_text(json_object_get(item, pages->names[i]), rooms[i]);
    if (pages->item) status = pages->item(pages->context, cutting->item_number, members);
    json_decref(item);
    return status;
}

/* --- pages --- */

static enum status take_page(struct cutting *cutting, const json_t *page)
{
    const json_t *items = json_object_get(page, "Items"), *next = json_object_get(page, "NextPageLink");
    const char *url = json_is_string(next) ? json_string_value(next) : "";
    if (!json_is_array(items)) return refuse_page(cutting, "it has no list \"Items\"");
    if (json_array_size(items) != cutting->items) return refuse_page(cutting, "\"Items\" are not all objects");
    if (strlen(url) >= IMPORT_URL_BYTES) return refuse_page(cutting, "its NextPageLink is too long");
    memcpy(cutting->pages->next_page, url, strlen(url) + 1);
    return STATUS_OK;
}

static enum status end_page(struct cutting *cutting)
{
    json_t *page = NULL;
    enum status status = parse(cutting, "page", cutting->page_number, cutting->page, cutting->page_length, &page);
    if (status == STATUS_OK) status = take_page(cutting, page);
    json_decref(page);
    cutting->page_length = cutting->items = 0;
    return status;
}

/* --- bytes --- */

static enum status keep(struct cutting *cutting, char c)
{
    bool item = cutting->item_length > 0 || (c == '{' && cutting->depth == ITEM_DEPTH);
    size_t *length = item ? &cutting->item_length : &cutting->page_length;
    if (*length == (item ? ITEM_BYTES_MAX : PAGE_BYTES_MAX))
        return refuse_page(cutting, item ? "an item is longer than 64 KiB" : "it is longer than 256 KiB without items");
    (item ? cutting->item : cutting->page)[(*length)++] = c;
    return STATUS_OK;
}

/* What a bracket means once it is kept. */
static enum status take_bracket(struct cutting *cutting, char c)
{
    if (c == '{' || c == '[') {
        cutting->depth++;
        return STATUS_OK;
    }
    cutting->depth--;
    if (cutting->depth == 0) return end_page(cutting);
    if (cutting->depth != ITEM_DEPTH || cutting->item_length == 0) return STATUS_OK;
    enum status status = end_item(cutting);
    return status == STATUS_OK ? keep(cutting, '0') : status;
}

static enum status take_inside(struct cutting *cutting, char c)
{
    enum status status = keep(cutting, c);
    if (status != STATUS_OK) return status;
    if (cutting->escaped)
        cutting->escaped = false;
    else if (cutting->quoted && c == '\\')
        cutting->escaped = true;
    else if (c == '"')
        cutting->quoted = !cutting->quoted;
    else if (!cutting->quoted && strchr("{}[]", c) && c)
        return take_bracket(cutting, c);
    return STATUS_OK;
}

/* Between pages. */
static enum status take_outside(struct cutting *cutting, char c)
{
    if (c == '{') {
        cutting->page_number++;
        return take_inside(cutting, c);
    }
    if (c == '[' && !cutting->list && cutting->page_number == 0)
        cutting->list = 1;
    else if (c == ']' && cutting->list)
        cutting->list = 0;
    else if (!(c == ',' && cutting->list) && !(c && strchr(" \t\r\n", c)))
        return problems_add(cutting->pages->problems, STATUS_INVALID_VALUE, "file",
                            "it is no JSON of pages: {\"Items\": [...]} is expected %s %u",
                            cutting->page_number ? "after page" : "as page",
                            cutting->page_number ? cutting->page_number : 1);
    return STATUS_OK;
}

static enum status read_block(struct cutting *cutting, size_t *ret_length)
{
    const struct import_source *source = cutting->pages->source;
    size_t length = 0;
    enum status status = source->read(source->context, cutting->block, BLOCK_BYTES, &length);
    if (status != STATUS_OK) return problems_add(cutting->pages->problems, status, "file", "it cannot be read");
    for (size_t i = 0; i < length && status == STATUS_OK; i++)
        status = cutting->depth ? take_inside(cutting, cutting->block[i]) : take_outside(cutting, cutting->block[i]);
    *ret_length = length;
    return status;
}

enum status json_pages_read(struct json_pages *pages)
{
    struct cutting *cutting = calloc(1, sizeof *cutting);
    if (!cutting) return problems_add(pages->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the file");
    cutting->pages = pages;
    enum status status = STATUS_OK;
    for (size_t length = 1; status == STATUS_OK && length > 0;)
        status = read_block(cutting, &length);
    if (status == STATUS_OK && cutting->page_number == 0)
        status = problems_add(pages->problems, STATUS_INVALID_VALUE, "file", "it is empty: it has no page");
    else if (status == STATUS_OK && (cutting->depth || cutting->list))
        status = refuse_page(cutting, "the file ends within it: it is cut off");
    free(cutting);
    return status;
}
