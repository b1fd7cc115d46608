/* table.h owns turning CSV text into an array of structs: one column table per file says which header goes to which
 * member, in what range; every bad cell becomes a problem that names file, line and field. */
#pragma once
#include "catalog/load.h"

enum cell_kind { CELL_TEXT, CELL_ID, CELL_DOUBLE, CELL_UINT32, CELL_BOOL, CELL_DATE, CELL_USD, CELL_CHOICE };

struct column {
    const char *header;
    enum cell_kind kind;
    bool required;
    bool loose; /* only a database has it: the file need not */
    size_t offset;
    double low, high; /* both included; of numbers and money */
    double absent;    /* a double that is not given */
    /* CELL_CHOICE: an enum whose names these are; enums are unsigned int for both compilers */
    const char *(*choice_name)(unsigned choice);
    unsigned choice_count;
};

#define CELL_OF(type, member)                                                                                          \
    _Generic(((type *)0)->member,                                                                                      \
        const char *: CELL_TEXT,                                                                                       \
        double: CELL_DOUBLE,                                                                                           \
        uint32_t: CELL_UINT32,                                                                                         \
        bool: CELL_BOOL,                                                                                               \
        date_t: CELL_DATE,                                                                                             \
        usd_t: CELL_USD)
/* An optional cell that is empty: "", 0, false, DATE_UNKNOWN, USD_UNKNOWN; a double becomes UNKNOWN, or 0 (ZERO). */
#define COLUMN(header_, type, member)                                                                                  \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_OF(type, member), .required = true, .offset = offsetof(type, member)         \
    }
#define COLUMN_OPT(header_, type, member)                                                                              \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_OF(type, member), .offset = offsetof(type, member)                           \
    }
#define COLUMN_LOOSE(header_, type, member)                                                                            \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_OF(type, member), .loose = true, .offset = offsetof(type, member)            \
    }
#define COLUMN_ID(header_, type, member)                                                                               \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_ID, .required = true, .offset = offsetof(type, member)                       \
    }
#define COLUMN_ID_OPT(header_, type, member)                                                                           \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_ID, .offset = offsetof(type, member)                                         \
    }
#define NUMBER(header_, type, member, low_, high_)                                                                     \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_OF(type, member), .required = true, .offset = offsetof(type, member),        \
        .low = (low_), .high = (high_)                                                                                 \
    }
#define NUMBER_OPT(header_, type, member, low_, high_)                                                                 \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_OF(type, member), .offset = offsetof(type, member), .low = (low_),           \
        .high = (high_), .absent = UNKNOWN                                                                             \
    }
#define NUMBER_ZERO(header_, type, member, low_, high_)                                                                \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_OF(type, member), .offset = offsetof(type, member), .low = (low_),           \
        .high = (high_)                                                                                                \
    }
#define NUMBER_LOOSE(header_, type, member, low_, high_)                                                               \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_OF(type, member), .loose = true, .offset = offsetof(type, member),           \
        .low = (low_), .high = (high_), .absent = UNKNOWN                                                              \
    }
#define CHOICE(header_, type, member, name_, count_)                                                                   \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_CHOICE, .required = true, .offset = offsetof(type, member),                  \
        .choice_name = (name_), .choice_count = (count_)                                                               \
    }
#define CHOICE_OPT(header_, type, member, name_, count_)                                                               \
    {                                                                                                                  \
        .header = (header_), .kind = CELL_CHOICE, .offset = offsetof(type, member), .choice_name = (name_),            \
        .choice_count = (count_)                                                                                       \
    }

struct table {
    enum catalog_file file;
    const struct column *columns;
    size_t column_count;
    size_t row_bytes; /* of a struct that begins with struct row */
};
#define TABLE(file_, columns_, type)                                                                                   \
    {                                                                                                                  \
        (file_), (columns_), sizeof(columns_) / sizeof *(columns_), sizeof(type)                                       \
    }

struct row {
    uint32_t line; /* in its file */
};

struct rows {
    const char *file_name;
    void *items;
    size_t count, row_bytes;
    bool bad; /* some cells were refused and are empty */
};

/* What one load needs everywhere. */
struct loading {
    struct snapshot *snapshot;
    const struct catalog_text *files;
    struct problems *problems;
    struct arena scratch; /* freed when the load is over */
    size_t bad_count;
    bool out_of_memory;
};

/* NULL, remembered in loading->out_of_memory, when there is no memory. */
void *loading_alloc(struct loading *loading, struct arena *arena, size_t count, size_t size_bytes);
void loading_refuse(struct loading *loading, const char *file_name, uint32_t line, const char *field,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Rows in file order, in scratch memory, with texts in the snapshot's arena. Bad cells are reported and left empty; an
 * absent file (text NULL) has no rows. */
struct rows table_read(struct loading *loading, const struct table *table);
/* The other way: the texts of a row, in the columns' order, for csv_text; "" is what a reader would take an empty cell
 * for. NULL when out of memory. */
const struct csv_cell *table_cells(const struct table *table, const void *row, struct arena *arena, size_t *ret_count);
void *rows_at(const struct rows *rows, size_t index);
void rows_sort(struct rows *rows, int (*compare)(const void *a, const void *b));
/* For sorted rows: refuses every row that compares equal to the one before it. Rows with refused cells are not
 * compared: emptied keys would all look the same. */
void rows_refuse_equal(struct loading *loading, const struct rows *rows, const char *field,
                       int (*compare)(const void *a, const void *b));
/* Copies one member of every row into an array of the snapshot's. */
void *rows_take(struct loading *loading, const struct rows *rows, size_t offset, size_t size_bytes);
