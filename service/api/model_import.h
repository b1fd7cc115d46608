/* model_import.h owns config.json files on their way into the catalog. */
#pragma once
#include "catalog/model.h"
#include "store/store.h"
#include "wire/input.h"

struct model_file {
    const char *id, *source; /* org/name; where the file is from */
    date_t as_of;
    const char *text;
    size_t length;
};

enum { SHA256_TEXT_BYTES = 65 };
struct model_entry {
    struct model model;
    const char *config; /* compact, keys sorted */
    char config_sha256[SHA256_TEXT_BYTES];
};

/* Reads a file, and holds it to what the catalog demands of a model. Texts live in the arena. Fails like
 * hf_config_parse. */
enum status model_import_read(const struct model_file *file, struct arena *arena, struct problems *problems,
                              struct model_entry *ret_entry) MUST_CHECK;
/* The columns of an entry and their texts, in the arena; of `cells` there are MODEL_CELLS_MAX. */
enum { MODEL_CELLS_MAX = 64 };
enum status model_import_cells(const struct model_entry *entry, struct arena *arena, struct problems *problems,
                               struct csv_cell cells[MODEL_CELLS_MAX], size_t *ret_count) MUST_CHECK;
/* All of them in one transaction; `ret_rows`: how many were new or changed. Ids must differ. */
enum status model_import_write(struct store *store, const struct model_entry *entries, size_t count,
                               struct problems *problems, size_t *ret_rows) MUST_CHECK;
