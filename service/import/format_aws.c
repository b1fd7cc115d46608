/* format_aws.c owns the CSV offer file of AWS's price list: lines about the file before the header, and among its
 * millions of records those about rented Linux machines with whole GPUs. */
#include "catalog/text.h"
#include "import/formats.h"

#include <string.h>

static const struct import_header headers[] = {
    {"Instance Type", COL_INSTANCE_TYPE, true},
    {"Region Code", COL_REGION, true},
    {"Location Type", COL_PLACE_KIND, false},
    {"GPU", COL_GPU_COUNT, false},
    {"vCPU", COL_VCPUS, false},
    {"Memory", COL_HOST_MEMORY, false},
    {"PricePerUnit", COL_PRICE, true},
    {"Currency", COL_CURRENCY, true},
    {"Unit", COL_UNIT, true},
    {"TermType", COL_PURCHASE, true},
    {"Product Family", COL_PRODUCT, false},
    {"Tenancy", COL_TENANCY, true},
    {"Operating System", COL_SYSTEM, true},
    {"Pre Installed S/W", COL_SOFTWARE, true},
    {"License Model", COL_LICENSE, false},
    {"CapacityStatus", COL_CAPACITY, true},
    {"MarketOption", COL_MARKET, false},
    {"EffectiveDate", COL_BEGINS, false},
};

static const struct import_condition conditions[] = {
    {COL_PURCHASE, false, {"OnDemand"}},
    {COL_PRODUCT, false, {"Compute Instance", "Compute Instance (bare metal)", ""}},
    {COL_TENANCY, false, {"Shared"}},
    {COL_SYSTEM, false, {"Linux"}},
    {COL_SOFTWARE, false, {"NA", ""}},
    {COL_LICENSE, false, {"No License required", "NA", ""}},
    {COL_CAPACITY, false, {"Used"}},
    {COL_MARKET, false, {"OnDemand", ""}},
    {COL_UNIT, false, {"Hrs"}},
    {COL_CURRENCY, false, {"USD"}},
    {COL_PLACE_KIND, false, {"AWS Region", "AWS Local Zone", ""}},
};

/* Pairs of a name and a value, until the header. The prices hold on the day of publication, whenever each began to. */
static bool preamble(struct importing *importing)
{
    static const char *const names[] = {"FormatVersion", "Disclaimer", "Publication Date", "Version", "OfferCode"};
    const struct csv *csv = &importing->csv;
    for (size_t i = 0; csv->field_count == 2 && i < sizeof names / sizeof *names; i++) {
        if (strcmp(csv->fields[0], names[i]) != 0) continue;
        if (strcmp(names[i], "Publication Date") == 0) (void)import_day_of_time(csv->fields[1], &importing->as_of);
        return true;
    }
    return false;
}

/* GiB of "2,048 GiB". */
static double read_memory(const char *text)
{
    char digits[NUMBER_TEXT_BYTES] = "";
    double gib = UNKNOWN;
    size_t length = 0;
    for (; *text && *text != ' ' && length < sizeof digits - 1; text++) {
        if (*text != ',') digits[length++] = *text;
    }
    bool read = text_parse_double(digits, &gib) && gib >= 0.25 && gib <= 1e6 && strcmp(text, " GiB") == 0;
    return read ? gib : UNKNOWN;
}

/* Without a number in the column GPU, which other accelerators lack, the table of machines counts. */
static bool read_count(struct importing *importing, double *ret_count)
{
    const char *text = import_cell(importing, COL_GPU_COUNT);
    *ret_count = UNKNOWN;
    return strcmp(text, "NA") == 0 || import_number(importing, COL_GPU_COUNT, ret_count);
}

static void row(struct importing *importing)
{
    struct draft draft;
    double count = UNKNOWN;
    usd_t price = USD_UNKNOWN;
    date_t begins = DATE_UNKNOWN;
    if (!import_wanted(importing, conditions, sizeof conditions / sizeof *conditions)) return;
    const struct import_machine *machine = import_find_machine("aws", import_cell(importing, COL_INSTANCE_TYPE));
    if (!read_count(importing, &count)) return;
    if (!machine && !(count > 0)) {
        importing->counts.left_out++;
        return;
    }
    if (!import_draft(importing, &draft) || !import_draft_machine(importing, &draft, machine, count)) return;
    draft.offer.host_memory_gib = read_memory(import_cell(importing, COL_HOST_MEMORY));
    if (import_day_of_time(import_cell(importing, COL_BEGINS), &begins) && begins.days > importing->as_of.days)
        (void)import_refuse(importing, draft.line, COL_BEGINS, "it holds only from %s on",
                            import_cell(importing, COL_BEGINS));
    else if (!*import_cell(importing, COL_PRICE))
        (void)import_refuse(importing, draft.line, COL_PRICE, "is empty");
    else if (import_price(importing, COL_PRICE, &price))
        import_offer(importing, &draft, PURCHASE_ON_DEMAND, 0, price);
}

const struct format import_aws_price_list = {
    .headers = headers,
    .header_count = sizeof headers / sizeof *headers,
    .provider = "aws",
    .preamble = preamble,
    .row = row,
};
