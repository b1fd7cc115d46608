/* import.h owns reading prices as others publish them: every line becomes rows of the catalog or a reason why not.
 * It does no I/O: the caller brings the bytes and takes the rows, so a file of any length needs the same memory. */
#pragma once
#include "catalog/snapshot.h"

enum import_format {
    IMPORT_CSV,            /* our own layout (catalog/data/offers.csv), or one price per purchase kind in columns */
    IMPORT_SKYPILOT,       /* vms.csv of a SkyPilot catalog */
    IMPORT_GPUHUNT,        /* <provider>.csv of gpuhunt */
    IMPORT_PURCHASE,       /* what parts cost to buy */
    IMPORT_AZURE_RETAIL,   /* pages of Azure's retail prices API, one after another or in a list */
    IMPORT_AWS_PRICE_LIST, /* CSV offer file of AWS's price list */
    IMPORT_MEASURED,       /* measured serving results */
    IMPORT_FORMAT_COUNT
};
extern const char *const import_format_names[IMPORT_FORMAT_COUNT + 1]; /* ended by NULL */

struct import_source {
    enum import_format format;
    const struct snapshot *catalog; /* what the names of GPUs mean */
    const char *provider;           /* skypilot and gpuhunt do not say whose prices they hold; else NULL */
    const char *source;             /* of rows that name none */
    date_t as_of;                   /* of rows without a day */
    void *context;
    /* Up to `size` further bytes; 0 at the end. STATUS_IO if they cannot be read. */
    enum status (*read)(void *context, char *buffer, size_t size, size_t *ret_length);
    /* Dollars for one unit of a currency ("EUR"), or UNKNOWN; may be NULL. */
    double (*usd_per_unit)(void *context, const char *currency);
};

enum { IMPORT_REFUSED_BYTES = 400 };

/* A measured run; throughput is of all its GPUs. Texts are borrowed, "" where there is none; numbers UNKNOWN. */
struct observation {
    const char *source, *uid, *engine, *engine_version, *model_id, *weight_dtype, *kv_dtype, *load, *trust, *notes;
    uint32_t gpu, gpu_count; /* gpu: index into the catalog's */
    double tensor_parallel, pipeline_parallel, expert_parallel;
    double input_tokens, output_tokens, concurrency;
    double output_tokens_per_second, total_tokens_per_second, prefill_tokens_per_second;
    double ttft_ms, tpot_ms, e2e_ms;
    date_t as_of;
};

/* A measured run as its file spells it: `run` with the names and formats of the file and no index of a GPU. */
struct measured {
    struct observation run;
    uint32_t line;
    const char *model, *gpu;
    const char *load_mode;
    const char *started;          /* of a start-up log: "ok" or how it ended; NULL: the row is none */
    bool decode_only, one_prompt; /* what the figures leave out: the prompts; the output */
    bool sent_at_once;            /* all requests: the wait for a first token is the place in the queue */
    double gpu_count, data_parallel, requests_per_second;
    double arrival_cv2;                                        /* of the rate: squared coefficient of variation */
    double gpu_layers;                                         /* on GPUs; below 0: all */
    double max_model_len_tokens, gpu_memory_utilization_ratio; /* from here on: of start-up logs */
    double weight_memory_gib, activation_memory_gib, kv_cache_memory_gib, kv_cache_tokens, max_concurrency;
    const char *refused_field; /* what of the row cannot be read; NULL: all can */
    char refused[IMPORT_REFUSED_BYTES];
};

/* A row without any text or number. */
struct measured import_measured_empty(uint32_t line);

/* What the names of a row mean to the catalog, NULL: nothing; then false, with the first reason in `refused`. */
struct measured_names {
    const struct model *model;
    const struct gpu *gpu;
    const struct engine_profile *engine; /* its newest profile */
};
bool import_measured_names(const struct snapshot *catalog, struct measured *measured,
                           struct measured_names *ret_names) MUST_CHECK;

/* A format of weights or KV cache by any of the spellings that files use; `native` is the model's own, which a 4-bit
 * format without a name is. DTYPE_UNKNOWN: not stated, or no format of the catalog. `ret_same`: not only about the
 * same. */
enum dtype import_dtype(const char *text, enum dtype native, bool *ret_same);

/* Where rows go, one at a time, their texts only for the call. What is not STATUS_OK ends the import. */
struct import_sink {
    void *context;
    enum status (*offer)(void *context, uint32_t line, const struct offer *offer); /* country, continent are "" */
    enum status (*purchase)(void *context, uint32_t line, const struct purchase_price *price);
    enum status (*observation)(void *context, uint32_t line, const struct observation *observation);
    enum status (*reject)(void *context, uint32_t line, const char *field, const char *reason);
    /* If set, measured rows come here instead, before their names are looked up; `refused` are among them. */
    enum status (*measured)(void *context, const struct measured *measured);
};

struct import_counts {
    uint64_t lines;    /* records besides the header */
    uint64_t accepted; /* rows: a line with two prices is two */
    uint64_t rejected; /* refusals: a line may have several, each is told */
    uint64_t left_out; /* lines about something else, such as machines without a GPU: not told one by one */
    bool incomplete;   /* the file's last page names another one */
};

/* Reads the whole file. STATUS_INVALID_VALUE and problems that name the line when it is not of this format at all. */
enum status import_read(const struct import_source *source, const struct import_sink *sink, struct problems *problems,
                        struct import_counts *ret_counts) MUST_CHECK;

/* The address of the page that follows the pages of `source`, of which only `read` and `context` count; "" after the
 * last. For azure-retail. Fails like import_read. */
enum { IMPORT_URL_BYTES = 4096 };
enum status import_next_page(const struct import_source *source, struct problems *problems,
                             char ret_url[IMPORT_URL_BYTES]) MUST_CHECK;

/* Whose prices gpuhunt's file of a name has, by the catalog's name for them: "lambda" for v2/lambdalabs.csv. */
enum { IMPORT_PROVIDER_BYTES = 64 };
void import_gpuhunt_provider(const char *file_name, char ret_provider[IMPORT_PROVIDER_BYTES]);
