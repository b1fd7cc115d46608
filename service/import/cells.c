/* cells.c owns the reading of cells that all formats share, and the offer that they make together. */
#include "catalog/name.h"
#include "catalog/text.h"
#include "import/formats.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 2000 }; /* the loader's limit of a text */

const char *import_cell(const struct importing *importing, enum import_column column)
{
    size_t field = importing->fields[column];
    return field ? importing->csv.fields[field - 1] : "";
}

bool import_refuse(struct importing *importing, uint32_t line, enum import_column column, const char *format, ...)
{
    char reason[IMPORT_REASON_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (length >= (int)sizeof reason) reason[text_utf8_prefix(reason, sizeof reason - 1)] = '\0';
    const struct import_header *header = importing->named[column];
    return import_refuse_field(importing, line, header ? header->name : "", reason);
}

bool import_refuse_field(struct importing *importing, uint32_t line, const char *field, const char *reason)
{
    importing->counts.rejected++;
    if (importing->status == STATUS_OK)
        importing->status = importing->sink->reject(importing->sink->context, line, field, reason);
    return false;
}

bool import_number(struct importing *importing, enum import_column column, double *ret_value)
{
    char shown[NAME_SHOWN_BYTES];
    const char *text = import_cell(importing, column);
    double value = UNKNOWN;
    if (*text && !text_parse_double(text, &value))
        return import_refuse(importing, importing->csv.line, column, "\"%s\" is not a number", name_shown(text, shown));
    *ret_value = value;
    return true;
}

bool import_wanted(struct importing *importing, const struct import_condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct import_condition *condition = &conditions[i];
        const char *cell = import_cell(importing, condition->column);
        bool found = false;
        for (size_t t = 0; condition->texts[t]; t++)
            found = found || (condition->contains ? strstr(cell, condition->texts[t]) != NULL
                                                  : strcmp(cell, condition->texts[t]) == 0);
        if (found != condition->contains) continue;
        importing->counts.left_out++;
        return false;
    }
    return true;
}

double import_size(const struct importing *importing, enum import_column column, double low, double high)
{
    double value = UNKNOWN;
    if (!text_parse_double(import_cell(importing, column), &value)) return UNKNOWN;
    return value >= low && value <= high ? value : UNKNOWN;
}

/* Dollars for one unit of the record's currency. */
static bool find_rate(struct importing *importing, double *ret_rate)
{
    char shown[NAME_SHOWN_BYTES];
    const char *currency = import_cell(importing, COL_CURRENCY);
    const struct import_source *source = importing->source;
    double rate = 1;
    if (*currency && strcmp(currency, "USD") != 0)
        rate = source->usd_per_unit ? source->usd_per_unit(source->context, currency) : UNKNOWN;
    if (!is_known(rate))
        return import_refuse(importing, importing->csv.line, COL_CURRENCY, "no rate is known for \"%s\"",
                             name_shown(currency, shown));
    *ret_rate = rate;
    return true;
}

bool import_price(struct importing *importing, enum import_column column, usd_t *ret_price)
{
    return import_price_of(importing, column, 1, ret_price);
}

bool import_price_of(struct importing *importing, enum import_column column, double hours, usd_t *ret_price)
{
    double price = UNKNOWN, rate = 1;
    if (!import_number(importing, column, &price) || (is_known(price) && !find_rate(importing, &rate))) return false;
    price /= hours;
    if (price == 0) return import_refuse(importing, importing->csv.line, column, "0 is unknown, not free");
    const double low = importing->named[COL_KIND] ? 1 : 0.001, high = importing->named[COL_KIND] ? 1e7 : 1e6;
    if (is_known(price) && !(price * rate >= low && price * rate <= high))
        return import_refuse(importing, importing->csv.line, column, "%g USD is not from %g to %g", price * rate, low,
                             high);
    *ret_price = usd_from_double(price * rate);
    return true;
}

uint32_t import_term_months(const char *text)
{
    static const struct {
        const char *unit;
        uint32_t months;
    } units[] = {{"", 1},    {"mo", 1},     {"-month", 1}, {"m", 1},       {"y", 12},
                 {"yr", 12}, {"-year", 12}, {" Year", 12}, {" Years", 12}, {" Month", 1}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 3) return 0;
    uint32_t count = 0;
    for (size_t i = 0; i < digits; i++)
        count = count * 10 + (uint32_t)(text[i] - '0');
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + digits, units[i].unit) == 0 && count * units[i].months <= 120) return count * units[i].months;
    }
    return 0;
}

void import_slug(const char *text, char ret_id[IMPORT_ID_BYTES])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/";
    size_t length = 0;
    for (; *text && length < IMPORT_ID_BYTES - 1; text++) {
        bool plain = strchr(allowed, *text);
        if (plain || (length > 0 && ret_id[length - 1] != '-')) ret_id[length++] = plain ? *text : '-';
    }
    while (length > 0 && ret_id[length - 1] == '-')
        length--;
    ret_id[length] = '\0';
}

bool import_text(struct importing *importing, enum import_column column, const char **ret_text)
{
    const char *text = import_cell(importing, column);
    if (strlen(text) > TEXT_MAX_BYTES)
        return import_refuse(importing, importing->csv.line, column, "longer than %d bytes", TEXT_MAX_BYTES);
    *ret_text = text;
    return true;
}

bool import_day(struct importing *importing, date_t *ret_day)
{
    char shown[NAME_SHOWN_BYTES];
    const char *text = import_cell(importing, COL_AS_OF);
    date_t day = importing->as_of;
    if (*text && !date_parse(text, &day))
        return import_refuse(importing, importing->csv.line, COL_AS_OF, "\"%s\" is no day: YYYY-MM-DD",
                             name_shown(text, shown));
    *ret_day = day;
    return true;
}

bool import_day_of_time(const char *text, date_t *ret_day)
{
    char day[DATE_TEXT_BYTES] = "";
    (void)strncat(day, text, sizeof "2026-11-20" - 1);
    return date_parse(day, ret_day);
}

bool import_draft(struct importing *importing, struct draft *ret_draft)
{
    struct draft *draft = ret_draft;
    *draft = (struct draft){.line = importing->csv.line};
    struct offer *offer = &draft->offer;
    const char *provider = import_cell(importing, COL_PROVIDER);
    if (!*provider && importing->format->provider) provider = importing->format->provider;
    if (!*import_cell(importing, COL_PROVIDER) && importing->source->provider) provider = importing->source->provider;
    import_slug(provider, draft->provider);
    import_slug(import_cell(importing, COL_INSTANCE_TYPE), draft->instance_type);
    import_slug(import_cell(importing, COL_REGION), draft->region);
    import_slug(import_cell(importing, COL_ZONE), draft->zone);
    offer->provider = draft->provider, offer->instance_type = draft->instance_type;
    offer->region = draft->region, offer->zone = draft->zone;
    offer->country = offer->continent = "";
    offer->vcpus = import_size(importing, COL_VCPUS, 0.25, 1e5);
    offer->host_memory_gib = import_size(importing, COL_HOST_MEMORY, 0.25, 1e6);
    offer->price_basis = "instance_total";
    if (!*draft->provider) return import_refuse(importing, draft->line, COL_PROVIDER, "no provider is given");
    if (!import_day(importing, &offer->as_of) || !import_text(importing, COL_SOURCE, &offer->source) ||
        !import_text(importing, COL_URL, &offer->url) || !import_text(importing, COL_NOTES, &offer->notes))
        return false;
    if (!*offer->source) offer->source = importing->source->source;
    return true;
}

bool import_draft_named(struct importing *importing, struct draft *draft, enum alias_namespace space, const char *name,
                        uint32_t count, double memory_mib)
{
    const struct snapshot *catalog = importing->source->catalog;
    const struct gpu *gpu =
        import_find_gpu(importing, draft->line, space, name, draft->provider, draft->instance_type, memory_mib);
    if (!gpu) return false;
    draft->offer.gpu = (uint32_t)(gpu - catalog->gpus);
    draft->offer.gpu_count = count;
    if (!*draft->instance_type)
        (void)snprintf(draft->instance_type, sizeof draft->instance_type, "%ux-%s", count, gpu->id);
    return true;
}

bool import_draft_machine(struct importing *importing, struct draft *draft, const struct import_machine *machine,
                          double count)
{
    if (!machine)
        return import_refuse(importing, draft->line, COL_INSTANCE_TYPE, "it is not known which GPUs \"%s\" has",
                             draft->instance_type);
    if (!is_known(count)) count = machine->gpu_count;
    if (!(count >= 1 && count <= IMPORT_GPU_COUNT_MAX && count == (double)(uint32_t)count))
        return import_refuse(importing, draft->line, COL_INSTANCE_TYPE,
                             "\"%s\" has %.3g of a GPU: a share of one is no offer", draft->instance_type, count);
    return import_draft_named(importing, draft, ALIAS_USER, machine->gpu, (uint32_t)count, UNKNOWN);
}

bool import_draft_gpu(struct importing *importing, struct draft *draft, enum alias_namespace space, double memory_mib)
{
    double count = UNKNOWN;
    if (!import_number(importing, COL_GPU_COUNT, &count)) return false;
    if (!(count >= 1 && count <= IMPORT_GPU_COUNT_MAX && count == (double)(uint32_t)count))
        return import_refuse(importing, draft->line, COL_GPU_COUNT,
                             "\"%s\" is no number of whole GPUs from 1 to %d (a share of a GPU is no offer)",
                             import_cell(importing, COL_GPU_COUNT), IMPORT_GPU_COUNT_MAX);
    return import_draft_named(importing, draft, space, import_cell(importing, COL_GPU), (uint32_t)count, memory_mib);
}

void import_offer(struct importing *importing, const struct draft *draft, enum purchase purchase, uint32_t term_months,
                  usd_t usd_per_hour)
{
    if (!usd_known(usd_per_hour) || importing->status != STATUS_OK) return;
    struct offer offer = draft->offer;
    offer.provider = draft->provider, offer.instance_type = draft->instance_type; /* the draft may have been copied */
    offer.region = draft->region, offer.zone = draft->zone;
    offer.purchase = purchase;
    offer.term_months = term_months;
    offer.usd_per_hour = usd_per_hour;
    importing->counts.accepted++;
    importing->status = importing->sink->offer(importing->sink->context, draft->line, &offer);
}
