/* formats.h owns what the formats share: cells by the name of their column, rows under construction, refusals. */
#pragma once
#include "catalog/csv.h"
#include "import/import.h"

enum { IMPORT_ID_BYTES = 201, IMPORT_GPU_COUNT_MAX = 1024, IMPORT_REASON_BYTES = IMPORT_REFUSED_BYTES };

enum import_column {
    COL_PROVIDER,
    COL_INSTANCE_TYPE,
    COL_REGION,
    COL_ZONE,
    COL_GPU,
    COL_GPU_COUNT,
    COL_GPU_MEMORY, /* of one GPU or, in GpuInfo, a literal that tells it */
    COL_VCPUS,
    COL_HOST_MEMORY,
    COL_PURCHASE,
    COL_TERM,
    COL_PRICE,
    COL_SPOT,
    COL_RESERVED,
    COL_CURRENCY,
    COL_KIND,
    COL_PRICE_BASIS,
    COL_AS_OF,
    COL_SOURCE,
    COL_URL,
    COL_NOTES,
    COL_SERVICE, /* from here on: what tells whether a record is of any interest, and from when to when it holds */
    COL_PRODUCT,
    COL_SKU,
    COL_METER,
    COL_UNIT,
    COL_TENANCY,
    COL_SYSTEM,
    COL_SOFTWARE,
    COL_LICENSE,
    COL_CAPACITY,
    COL_MARKET,
    COL_PLACE_KIND,
    COL_PRIMARY,
    COL_BEGINS,
    COL_ENDS,
    COL_UID, /* from here on: measured results */
    COL_ENGINE,
    COL_ENGINE_VERSION,
    COL_MODEL,
    COL_WEIGHT_DTYPE,
    COL_KV_DTYPE,
    COL_TENSOR_PARALLEL,
    COL_PIPELINE_PARALLEL,
    COL_EXPERT_PARALLEL,
    COL_INPUT,
    COL_OUTPUT,
    COL_CONCURRENCY,
    COL_LOAD,
    COL_OUTPUT_RATE,
    COL_TOTAL_RATE,
    COL_PREFILL_RATE,
    COL_TTFT,
    COL_TPOT,
    COL_E2E,
    COL_TRUST,
    COL_REQUEST_RATE,
    COL_STATUS, /* from here on: start-up logs */
    COL_DATA_PARALLEL,
    COL_QUANTIZATION,
    COL_MAX_MODEL_LEN,
    COL_UTILIZATION,
    COL_WEIGHT_MEMORY,
    COL_ACTIVATION_MEMORY,
    COL_KV_CACHE_MEMORY,
    COL_KV_CACHE_TOKENS,
    COL_MAX_CONCURRENCY,
    COL_IGNORED, /* known, and of no use here */
    IMPORT_COLUMNS
};

struct import_header {
    const char *name;
    enum import_column column;
    bool required;
};

struct importing;
struct format {
    const struct import_header *headers;
    size_t header_count;
    bool strict; /* a column that is not in the list is refused, else ignored */
    bool json;   /* pages of JSON instead of CSV */
    /* Reads a file that begins like JSON instead; may be NULL. */
    enum status (*json_file)(struct importing *importing, char *text, size_t length);
    const struct format *other;                    /* of files with the first column of this one; may be NULL */
    const char *provider;                          /* whose prices they are by default; may be NULL */
    bool (*preamble)(struct importing *importing); /* whether the record stands before the header; may be NULL */
    void (*row)(struct importing *importing);      /* one record */
    void (*end)(struct importing *importing);      /* after the last; may be NULL */
};
extern const struct format import_csv, import_skypilot, import_gpuhunt, import_purchase, import_azure_retail,
    import_aws_price_list, import_measured;

/* One file on its way. */
struct importing {
    const struct import_source *source;
    const struct import_sink *sink;
    const struct format *format;
    struct problems *problems;
    struct import_counts counts;
    struct csv csv;
    struct arena arena;            /* what a format keeps until the end */
    void *kept;                    /* the same; the format's own */
    date_t as_of;                  /* of records without a day */
    size_t fields[IMPORT_COLUMNS]; /* one more than the place of the column in a record; 0: not there */
    const struct import_header *named[IMPORT_COLUMNS]; /* as which it is there */
    size_t field_count;
    enum status status; /* of the sink: what is not OK ends the reading */
};

/* What records a format is about; the others are left out, and counted. */
struct import_condition {
    enum import_column column;
    bool contains;        /* left out is what has any of the texts in it; else what is none of them */
    const char *texts[5]; /* up to the first NULL */
};
bool import_wanted(struct importing *importing, const struct import_condition *conditions, size_t count);

/* The text of a cell of the current record, "" where there is none. */
const char *import_cell(const struct importing *importing, enum import_column column);

/* Tells that a line gives no row, or not all of them. Returns false, so that a reader can `return import_refuse(…)`. */
bool import_refuse(struct importing *importing, uint32_t line, enum import_column column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for what is no column. */
bool import_refuse_field(struct importing *importing, uint32_t line, const char *field, const char *reason);

/* The number in a cell; UNKNOWN if it is empty. False after a refusal. */
bool import_number(struct importing *importing, enum import_column column, double *ret_value);
/* A size that nothing depends on: what is empty, 0, no number or out of range is UNKNOWN. */
double import_size(const struct importing *importing, enum import_column column, double low, double high);
/* An hourly price in dollars, USD_UNKNOWN if the cell is empty. Zero means unknown and is refused. */
bool import_price(struct importing *importing, enum import_column column, usd_t *ret_price);
/* The same for a price of so many hours. */
bool import_price_of(struct importing *importing, enum import_column column, double hours, usd_t *ret_price);
/* Months of "1y", "3-year", "6mo", "12"; 0 if the text tells none. */
uint32_t import_term_months(const char *text);
/* A text of at most 2000 bytes. False after a refusal. */
bool import_text(struct importing *importing, enum import_column column, const char **ret_text);
/* The day of the record, or of the whole file. False after a refusal. */
bool import_day(struct importing *importing, date_t *ret_day);
/* The day of a time such as 2026-11-20T18:00:01Z. */
bool import_day_of_time(const char *text, date_t *ret_day);
/* The text as an id: everything but letters, digits and . _ / - becomes one dash. */
void import_slug(const char *text, char ret_id[IMPORT_ID_BYTES]);

/* An offer under construction and the room for its names. */
struct draft {
    uint32_t line;
    struct offer offer;
    char provider[IMPORT_ID_BYTES], instance_type[IMPORT_ID_BYTES], region[IMPORT_ID_BYTES], zone[IMPORT_ID_BYTES];
};
/* All of the current record but GPU, purchase and price. False after a refusal. */
bool import_draft(struct importing *importing, struct draft *ret_draft);
/* The GPU and how many; `memory_mib` of one GPU or UNKNOWN. Names an instance without a name after them. False after a
 * refusal. */
bool import_draft_gpu(struct importing *importing, struct draft *draft, enum alias_namespace space, double memory_mib);
/* The same for a name that is not in a cell. */
bool import_draft_named(struct importing *importing, struct draft *draft, enum alias_namespace space, const char *name,
                        uint32_t count, double memory_mib);
/* Hands the draft on as an offer, if the price is known. */
void import_offer(struct importing *importing, const struct draft *draft, enum purchase purchase, uint32_t term_months,
                  usd_t usd_per_hour);

/* What an instance type has in it. */
struct import_machine {
    const char *provider, *instance_type; /* the latter a pattern of fnmatch */
    const char *gpu;                      /* an id of the catalog */
    double gpu_count;                     /* below 1: a share of one; 0: the pattern does not tell */
};
/* NULL if it is not known to have any. */
const struct import_machine *import_find_machine(const char *provider, const char *instance_type);
/* The GPUs of a known machine in the draft; false after a refusal. `count` overrides the table's if it is known. */
bool import_draft_machine(struct importing *importing, struct draft *draft, const struct import_machine *machine,
                          double count);

/* The one GPU that a source's name means: in its namespace, by what is known of the instance, by its memory. NULL after
 * a refusal. */
const struct gpu *import_find_gpu(struct importing *importing, uint32_t line, enum alias_namespace space,
                                  const char *name, const char *provider, const char *instance_type, double memory_mib);
