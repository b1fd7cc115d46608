/* import_fuzz.c owns the fuzzing of one import format: the input is the file, handed over in pieces. Built once for
 * each format, IMPORT_KIND. */
#include "catalog.h"
#include "fuzz.h"
#include "import/import.h"

#include <assert.h>
#include <string.h>

struct file {
    const uint8_t *data;
    size_t size, taken, piece;
    uint64_t offers, purchases, observations, rejections;
};

static enum status read_piece(void *context, char *buffer, size_t size, size_t *ret_length)
{
    struct file *file = context;
    size_t length = file->piece < size ? file->piece : size;
    if (length > file->size - file->taken) length = file->size - file->taken;
    if (length) memcpy(buffer, file->data + file->taken, length);
    file->taken += length;
    *ret_length = length;
    return STATUS_OK;
}

static enum status take_offer(void *context, uint32_t line, const struct offer *offer)
{
    ((struct file *)context)->offers++;
    assert(line > 0 && offer->gpu_count > 0 && usd_known(offer->usd_per_hour) && offer->usd_per_hour.micro > 0);
    assert(*offer->provider && strlen(offer->instance_type) <= 200 && date_known(offer->as_of));
    return STATUS_OK;
}

static enum status take_purchase(void *context, uint32_t line, const struct purchase_price *price)
{
    ((struct file *)context)->purchases++;
    assert(line > 0 && usd_known(price->usd) && price->usd.micro > 0);
    return STATUS_OK;
}

static enum status take_observation(void *context, uint32_t line, const struct observation *observation)
{
    ((struct file *)context)->observations++;
    assert(line > 0 && *observation->uid && *observation->engine && *observation->model_id && observation->gpu_count);
    return STATUS_OK;
}

static enum status take_rejection(void *context, uint32_t line, const char *field, const char *reason)
{
    ((struct file *)context)->rejections++;
    assert(field && *reason);
    (void)line;
    return STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file file = {.data = data, .size = size, .piece = 1 + size % 97};
    struct arena arena;
    struct problems problems;
    struct import_counts counts = {0};
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    const struct import_source source = {.format = IMPORT_KIND,
                                         .catalog = fuzz_catalog(),
                                         .provider = IMPORT_KIND == IMPORT_SKYPILOT ? "gcp" : NULL,
                                         .source = "a file",
                                         .as_of = {20000},
                                         .context = &file,
                                         .read = read_piece};
    const struct import_sink sink = {&file, take_offer, take_purchase, take_observation, take_rejection, NULL};
    enum status status = import_read(&source, &sink, &problems, &counts);
    assert((status == STATUS_OK) == (problems.count == 0));
    if (status == STATUS_OK)
        assert(counts.accepted == file.offers + file.purchases + file.observations &&
               counts.rejected == file.rejections);
    arena_done(&arena);
    return 0;
}
