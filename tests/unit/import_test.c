/* import_test.c owns the proof of what each import format makes of a file: rows and refusals, line by line. The samples
 * have the headers of real files and values of our own. */
#include "catalog/load.h"
#include "import/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct snapshot *catalog;

static int load(void **state)
{
    (void)state;
    struct arena arena;
    struct problems problems;
    arena_init(&arena, 1 << 20);
    problems_init(&problems, &arena);
    enum status status = catalog_load(catalog_bundled(), &problems, &catalog);
    arena_done(&arena);
    return status == STATUS_OK ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    snapshot_free(catalog);
    return 0;
}

/* --- one file, read in pieces of a few bytes, and what came of it as text --- */

struct reading {
    const char *text;
    size_t length, taken, piece;
    char out[8192];
    size_t used;
    enum status sink_status;
    bool quiet; /* only the last line is kept */
    uint32_t last_line;
};

static enum status read_piece(void *context, char *buffer, size_t size, size_t *ret_length)
{
    struct reading *reading = context;
    size_t left = reading->length - reading->taken, length = reading->piece < size ? reading->piece : size;
    if (length > left) length = left;
    memcpy(buffer, reading->text + reading->taken, length);
    reading->taken += length;
    *ret_length = length;
    return STATUS_OK;
}

static double rate(void *context, const char *currency)
{
    (void)context;
    return strcmp(currency, "EUR") == 0 ? 1.25 : UNKNOWN;
}

__attribute__((format(printf, 2, 3))) static void say(struct reading *reading, const char *format, ...)
{
    va_list args;
    if (reading->quiet) return;
    va_start(args, format);
    int length = vsnprintf(reading->out + reading->used, sizeof reading->out - reading->used, format, args);
    va_end(args);
    assert_true(length >= 0 && (size_t)length < sizeof reading->out - reading->used);
    reading->used += (size_t)length;
}

static enum status say_offer(void *context, uint32_t line, const struct offer *offer)
{
    struct reading *reading = context;
    char day[DATE_TEXT_BYTES];
    say(reading, "%u: %s %s %s%s%s %ux%s %s", line, offer->provider, offer->instance_type,
        *offer->region ? offer->region : "-", *offer->zone ? "/" : "", offer->zone, offer->gpu_count,
        catalog->gpus[offer->gpu].id, purchase_name(offer->purchase));
    if (offer->term_months) say(reading, "/%u", offer->term_months);
    say(reading, " %g", usd_to_double(offer->usd_per_hour));
    if (is_known(offer->vcpus)) say(reading, " %gcpu", offer->vcpus);
    if (is_known(offer->host_memory_gib)) say(reading, " %gGiB", offer->host_memory_gib);
    say(reading, " %s %s %s%s%s\n", offer->price_basis, date_format(offer->as_of, day), offer->source,
        *offer->notes ? " # " : "", offer->notes);
    return reading->sink_status;
}

static enum status say_purchase(void *context, uint32_t line, const struct purchase_price *price)
{
    struct reading *reading = context;
    char day[DATE_TEXT_BYTES];
    say(reading, "%u: %s %s %g %s %s\n", line, catalog->gpus[price->gpu].id, purchase_kind_name(price->kind),
        usd_to_double(price->usd), date_format(price->as_of, day), price->source);
    return reading->sink_status;
}

static enum status say_observation(void *context, uint32_t line, const struct observation *observation)
{
    struct reading *reading = context;
    char day[DATE_TEXT_BYTES];
    say(reading, "%u: %s %s %s on %ux%s, %s %s tp %g, %s %g of %g to %g = %g tok/s, %g ms, %s %s\n", line,
        observation->uid, observation->engine, observation->model_id, observation->gpu_count,
        catalog->gpus[observation->gpu].id, observation->weight_dtype, observation->kv_dtype,
        observation->tensor_parallel, observation->load, observation->concurrency, observation->input_tokens,
        observation->output_tokens, observation->output_tokens_per_second, observation->e2e_ms, observation->trust,
        date_format(observation->as_of, day));
    return STATUS_OK;
}

static enum status say_refusal(void *context, uint32_t line, const char *field, const char *reason)
{
    ((struct reading *)context)->last_line = line;
    say(context, "%u! %s: %s\n", line, field, reason);
    return STATUS_OK;
}

static enum status read_text(struct reading *reading, enum import_format format, const char *provider,
                             char problem[256], struct import_counts *ret_counts)
{
    struct arena arena;
    struct problems problems;
    arena_init(&arena, 1 << 20);
    problems_init(&problems, &arena);
    struct import_source source = {.format = format,
                                   .catalog = catalog,
                                   .provider = provider,
                                   .source = "a file",
                                   .context = reading,
                                   .read = read_piece,
                                   .usd_per_unit = rate};
    assert_true(date_parse("2026-11-01", &source.as_of));
    const struct import_sink sink = {reading, say_offer, say_purchase, say_observation, say_refusal, NULL};
    enum status status = import_read(&source, &sink, &problems, ret_counts);
    (void)snprintf(problem, 256, "%s", problems.count ? problems.items[0].detail : "");
    arena_done(&arena);
    return status;
}

/* --- what files become --- */

#define AZURE(sku, price, meter, type, more)                                                                           \
    "{\"currencyCode\":\"USD\",\"tierMinimumUnits\":0.0,\"retailPrice\":" price ",\"unitPrice\":" price                \
    ",\"armRegionName\":\"westus2\",\"effectiveStartDate\":\"2023-08-01T00:00:00Z\",\"meterName\":\"" meter            \
    "\",\"productName\":\"Virtual Machines Series\",\"skuName\":\"" meter                                              \
    "\",\"serviceName\":\"Virtual Machines\",\"unitOfMeasure\":\"1 Hour\",\"type\":\"" type                            \
    "\",\"isPrimaryMeterRegion\":true,\"armSkuName\":\"" sku "\"" more "}"
#define AWS(term, type, price, tenancy, system, gpus, capacity, software, market)                                      \
    "\"X7\",\"" term "\",\"2026-10-01\",\"Hrs\",\"" price "\",\"USD\",\"Compute Instance\",\"AWS Region\",\"" type     \
    "\",\"192\",\"2,048 GiB\",\"" tenancy "\",\"" system "\",\"No License required\",\"" gpus "\",\"" capacity         \
    "\",\"" software "\",\"us-east-1\",\"" market "\"\n"
#define MEASURED_HEADER                                                                                                \
    "uid,source,engine,engine_version,date,model,precision_weights,precision_kv,gpu,gpus_total,tp,isl,osl,"            \
    "concurrency,"                                                                                                     \
    "load_mode,out_tok_s_total,prefill_tok_s,e2e_s,trust,notes\n"
#define CSV_HEADER                                                                                                     \
    "provider,instance_type,region,zone,gpu_id,gpu_count,purchase,term_months,usd_per_hour,vcpus,host_memory_gib,"     \
    "price_basis,as_of,source,url,notes\n"
#define WIDE_HEADER                                                                                                    \
    "provider,instance_type,gpu_id,gpu_model_raw,gpu_count,gpu_memory_gb_each,vcpus,host_memory_gib,region,zone,"      \
    "price_on_demand_usd_hr,price_spot_usd_hr,price_reserved_usd_hr,reserved_term,price_basis,as_of,source,notes\n"
#define INFO(name, mib) "\"{'Gpus': [{'Name': '" name "', 'MemoryInfo': {'SizeInMiB': " mib "}}]}\""

/* A line of a file is a line here. */
/* clang-format off */
static const struct sample {
    const char *what;
    enum import_format format;
    const char *provider, *text, *expected;
} samples[] = {
    {"our layout, a row for each price", IMPORT_CSV, NULL,
     CSV_HEADER
     "acme,n1,eu-west,,l4,2,on_demand,,1.5,8,32,instance_total,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,l4,2,reserved,12,1.0,8,32,instance_total,2026-10-01,contract 7,,\"two\n"
     "lines\"\n"
     "acme,n1,eu-west,,l4,2,reserved,,1.0,,,,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,l4,2,spot,3,1.0,,,,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,l4,2,spot,,0,,,,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,l4,2,spot,,,,,,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,l4,0.5,spot,,1,,,,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,warp-9,1,spot,,1,,,,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,l4,1,owned,,1,,,,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,l4,1,spot,,1,,,,soon,contract 7,,\n"
     "acme,n1,eu-west,,l4,1,spot,,1e9,,,,2026-10-01,contract 7,,\n"
     "acme,n1,eu-west,,l4\n"
     ",n1,eu-west,,l4,1,spot,,1,,,,2026-10-01,contract 7,,\n"
     "acme,n 1 / x,\"Oslo, NO\",,RTX 4090,1,spot,,1,,,per_gpu,2026-10-01,,,\n",
     "2: acme n1 eu-west 2xl4 on_demand 1.5 8cpu 32GiB instance_total 2026-10-01 contract 7\n"
     "3: acme n1 eu-west 2xl4 reserved/12 1 8cpu 32GiB instance_total 2026-10-01 contract 7 # two\n"
     "lines\n"
     "5! term_months: a reserved price needs its term: 12 or 1y\n"
     "6! term_months: only a reserved price has a term\n"
     "7! usd_per_hour: 0 is unknown, not free\n"
     "8! usd_per_hour: is empty\n"
     "9! gpu_count: \"0.5\" is no number of whole GPUs from 1 to 1024 (a share of a GPU is no offer)\n"
     "10! gpu_id: \"warp-9\" is no GPU of the catalog\n"
     "11! purchase: is none of on_demand, spot, reserved\n"
     "12! as_of: \"soon\" is no day: YYYY-MM-DD\n"
     "13! usd_per_hour: 1e+09 USD is not from 0.001 to 1e+06\n"
     "14! : 5 fields, but the header has 16\n"
     "15! provider: no provider is given\n"
     "16: acme n-1-/-x Oslo-NO 1xrtx-4090 spot 1 per_gpu 2026-10-01 a file\n"},
    {"a column for each kind of purchase", IMPORT_CSV, NULL,
     WIDE_HEADER
     "acme,n8,h100-sxm,H100,8.0,80,96,768,,,20,8,15,3-year,instance_total,2026-10,list,\n"
     "acme,n8,h100-sxm,H100,8,80,,,,,,,15,unspecified,instance_total,2026-10,list,\n"
     "acme,,h100-sxm,H100,2,80,,,,,0,4,,,instance_total_marketplace,2026-10,list,\n"
     "acme,,h100-sxm,H100,1,80,,,,,2,,,,per_gpu,2026-10,list,\n"
     "acme,,h100-sxm,H100,1,80,,,,,2,,,,accelerator_component_total,2026-10,list,\n",
     "2: acme n8 - 8xh100-sxm on_demand 20 96cpu 768GiB instance_total 2026-10-01 list\n"
     "2: acme n8 - 8xh100-sxm spot 8 96cpu 768GiB instance_total 2026-10-01 list\n"
     "2: acme n8 - 8xh100-sxm reserved/36 15 96cpu 768GiB instance_total 2026-10-01 list\n"
     "3! reserved_term: a reserved price needs its term: 12 or 1y\n"
     "4! price_on_demand_usd_hr: 0 is unknown, not free\n"
     "4: acme 2x-h100-sxm - 2xh100-sxm spot 4 instance_total_marketplace 2026-10-01 list\n"
     "5! price_basis: \"per_gpu\" is no price of a whole instance\n"
     "6! price_basis: \"accelerator_component_total\" is no price of a whole instance\n"},
    {"currencies", IMPORT_CSV, NULL,
     "provider,instance_type,gpu_id,gpu_count,purchase,price_per_hour,currency,as_of,source\n"
     "acme,n1,l4,1,on_demand,2,EUR,2026-10-01,s\n"
     "acme,n1,l4,1,on_demand,2,CHF,2026-10-01,s\n"
     "acme,n1,l4,1,on_demand,2,USD,2026-10-01,s\n",
     "2: acme n1 - 1xl4 on_demand 2.5 instance_total 2026-10-01 s\n"
     "3! currency: no rate is known for \"CHF\"\n"
     "4: acme n1 - 1xl4 on_demand 2 instance_total 2026-10-01 s\n"},
    {"skypilot, aws", IMPORT_SKYPILOT, "aws",
     "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,"
     "AvailabilityZone,Arch,LocalDiskType\n"
     "c5.large,,,2.0,4.0,,0.09,0.04,us-east-1,use1-az1,x86_64,\n"
     "p5.48xlarge,H100,8.0,192.0,2048.0," INFO("H100", "81920") ",90,40,us-east-1,use1-az1,x86_64,ssd\n"
     "p3.2xlarge,V100,1.0,8.0,61.0," INFO("V100", "16384") ",3,,us-east-1,use1-az1,x86_64,\n"
     "g6.xlarge,L4,1.0,4.0,16.0," INFO("L4", "22888") ",0.8,0.8,us-east-1,use1-az1,x86_64,\n"
     "g4.x,M60,1.0,4.0,16.0," INFO("M60", "8192") ",0.8,0.3,us-east-1,use1-az1,x86_64,\n"
     "x9.x,H100,1.0,4.0,16.0," INFO("H100", "81920") ",0.8,0.3,us-east-1,use1-az1,x86_64,\n",
     "3: aws p5.48xlarge us-east-1/use1-az1 8xh100-sxm on_demand 90 192cpu 2048GiB instance_total 2026-11-01 a file\n"
     "3: aws p5.48xlarge us-east-1/use1-az1 8xh100-sxm spot 40 192cpu 2048GiB instance_total 2026-11-01 a file\n"
     "4: aws p3.2xlarge us-east-1/use1-az1 1xv100-16gb-sxm on_demand 3 8cpu 61GiB instance_total 2026-11-01 a file\n"
     "5: aws g6.xlarge us-east-1/use1-az1 1xl4 on_demand 0.8 4cpu 16GiB instance_total 2026-11-01 a file\n"
     "6! AcceleratorName: \"M60\" is no GPU of the catalog\n"
     "7! AcceleratorName: \"H100\" may be h100-pcie, h100-sxm\n"},
    {"skypilot, azure: no zones, a bare name for GpuInfo", IMPORT_SKYPILOT, "azure",
     "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,Generation\n"
     "Standard_NC24ads_A100_v4,A100-80GB,1.0,24.0,220.0,A100-80GB,3.6,0.0,westus,V2\n"
     "Standard_NC40ads_H100_v5,H100,1.0,40.0,320.0,H100,7,,westus,V2\n",
     "2: azure Standard_NC24ads_A100_v4 westus 1xa100-80gb-pcie on_demand 3.6 24cpu 220GiB instance_total "
     "2026-11-01 a file\n"
     "3: azure Standard_NC40ads_H100_v5 westus 1xh100-nvl on_demand 7 40cpu 320GiB instance_total 2026-11-01 a file\n"},
    {"skypilot, gcp: a machine and its GPUs are two rows, in any order", IMPORT_SKYPILOT, "gcp",
     "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice\n"
     "a2-highgpu-1g,12.0,85.0,,,,us-central1,us-central1-a,0.75,0.25\n"
     "a3-megagpu-8g,208.0,1872.0,,,,us-central1,us-central1-a,10,5\n"
     "a2-highgpu-2g,24.0,170.0,,,,us-central1,us-central1-b,1.5,0.5\n"
     "n1-standard-4,4.0,15.0,,,,us-central1,us-central1-a,0.19,0.04\n"
     ",,,A100,1.0," INFO("A100", "40960") ",us-central1,us-central1-a,3,1\n"
     ",,,A100,2.0," INFO("A100", "40960") ",us-central1,us-central1-a,6,2\n"
     ",,,H100-MEGA,8.0,,us-central1,us-central1-a,80,\n"
     ",,,T4,1.0," INFO("T4", "15360") ",us-central1,us-central1-a,0.35,0.1\n",
     "9! InstanceType: the price of GPUs whose machine is billed apart is no offer\n"
     "4! Price: no line prices its 2 A100 in this zone\n"
     "3: gcp a3-megagpu-8g us-central1/us-central1-a 8xh100-sxm on_demand 90 208cpu 1872GiB "
     "instance_total_derived 2026-11-01 a file\n"
     "2: gcp a2-highgpu-1g us-central1/us-central1-a 1xa100-40gb-sxm on_demand 3.75 12cpu 85GiB "
     "instance_total_derived 2026-11-01 a file\n"
     "2: gcp a2-highgpu-1g us-central1/us-central1-a 1xa100-40gb-sxm spot 1.25 12cpu 85GiB "
     "instance_total_derived 2026-11-01 a file\n"},
    {"skypilot, vast and runpod: odd memories", IMPORT_SKYPILOT, "vast",
     "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice\n"
     "2x-A100_SXM4-64,A100,2.0,64,128,2,\"Norway, NO, EU\"," INFO("A100", "163840") ",0.00\n"
     "1x-A100_PCIE-8,A100,1.0,8,64,1,\"Norway, NO, EU\"," INFO("A100", "80") ",0.00\n"
     "1x-A100-8,A100,1.0,8,64,1,\"Norway, NO, EU\"," INFO("A100", "81920") ",0.00\n"
     "1x-A100-8,A100,1.0,8,64,1,\"Norway, NO, EU\"," INFO("A100", "20480") ",0.00\n"
     "1x-RTX4090-8,RTX4090,1.0,8,64,0.4,\"Norway, NO, EU\"," INFO("RTX4090", "0") ",\n",
     "2: vast 2x-A100_SXM4-64 Norway-NO-EU 2xa100-80gb-sxm on_demand 2 64cpu 128GiB instance_total 2026-11-01 a "
     "file\n"
     "3: vast 1x-A100_PCIE-8 Norway-NO-EU 1xa100-80gb-pcie on_demand 1 8cpu 64GiB instance_total 2026-11-01 a file\n"
     "4! AcceleratorName: \"A100\" may be a100-80gb-pcie, a100-80gb-sxm\n"
     "5! AcceleratorName: \"A100\" of this memory or form is no GPU of the catalog\n"
     "6: vast 1x-RTX4090-8 Norway-NO-EU 1xrtx-4090 on_demand 0.4 8cpu 64GiB instance_total 2026-11-01 a file\n"},
    {"skypilot, verda: JSON, and a column between", IMPORT_SKYPILOT, "verda",
     "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice,UpstreamCloudId\n"
     "1L40S.20V,L40S,1.0,20,60,1.1,FIN-01,\"{\"\"Gpus\"\": [{\"\"MemoryInfo\"\": {\"\"SizeInMiB\"\": "
     "49152}}]}\",0.5,x\n",
     "2: verda 1L40S.20V FIN-01 1xl40s on_demand 1.1 20cpu 60GiB instance_total 2026-11-01 a file\n"
     "2: verda 1L40S.20V FIN-01 1xl40s spot 0.5 20cpu 60GiB instance_total 2026-11-01 a file\n"},
    {"gpuhunt", IMPORT_GPUHUNT, "acme",
     "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor,flags\n"
     "small,eu-1,0.1,4,16.0,0,,,False,,,\n"
     "one,eu-1,0.6,8,32.0,1,L4,24.0,False,100.0,nvidia,\n"
     "one,eu-1,0.2,8,32.0,1,L4,24.0,True,100.0,nvidia,\n"
     "eight-sxm,eu-1,12,96,0,8,A100,80.0,False,,nvidia,\n"
     "eight,eu-1,12,96,900.0,8,A100,80.0,False,,nvidia,\n"
     "free,eu-1,0,8,32.0,1,L4,24.0,False,,nvidia,\n"
     "odd,eu-1,1,8,32.0,1,L4,24.0,maybe,,nvidia,\n",
     "3: acme one eu-1 1xl4 on_demand 0.6 8cpu 32GiB instance_total 2026-11-01 a file\n"
     "4: acme one eu-1 1xl4 spot 0.2 8cpu 32GiB instance_total 2026-11-01 a file\n"
     "5: acme eight-sxm eu-1 8xa100-80gb-sxm on_demand 12 96cpu instance_total 2026-11-01 a file\n"
     "6! gpu_name: \"A100\" may be a100-80gb-pcie, a100-80gb-sxm\n"
     "7! price: 0 is unknown, not free\n"
     "8! spot: is neither True nor False\n"},
    {"azure: a page", IMPORT_AZURE_RETAIL, NULL,
     "{\"BillingCurrency\":\"USD\",\"Items\":["
     AZURE("Standard_NC24ads_A100_v4", "3.673", "NC24ads A100 v4", "Consumption", "") ","
     AZURE("Standard_NC24ads_A100_v4", "1.25", "NC24ads A100 v4 Spot", "Consumption", "") ","
     AZURE("Standard_NC24ads_A100_v4", "0.5", "NC24ads A100 v4 Low Priority", "Consumption", "") ","
     AZURE("Standard_NC24ads_A100_v4", "20000", "NC24ads A100 v4", "Reservation", ",\"reservationTerm\":\"1 Year\"") ","
     AZURE("Standard_ND96isr_H100_v5", "1100000", "ND96isr H100 v5", "Reservation",
           ",\"reservationTerm\":\"3 Years\"") ","
     AZURE("Standard_ND96isr_H100_v5", "9", "ND96isr H100 v5", "Reservation", "")
     "],\"NextPageLink\":\"https://x/?$skip=1000\",\"Count\":6}\n",
     "1: azure Standard_NC24ads_A100_v4 westus2 1xa100-80gb-pcie on_demand 3.673 instance_total 2026-11-01 a file\n"
     "2: azure Standard_NC24ads_A100_v4 westus2 1xa100-80gb-pcie spot 1.25 instance_total 2026-11-01 a file\n"
     "4: azure Standard_NC24ads_A100_v4 westus2 1xa100-80gb-pcie reserved/12 2.2831 instance_total 2026-11-01 a "
     "file\n"
     "5: azure Standard_ND96isr_H100_v5 westus2 8xh100-sxm reserved/36 41.8569 instance_total 2026-11-01 a file\n"
     "6! reservationTerm: a reservation needs its term: \"1 Year\"\n"},
    {"azure: pages in a list", IMPORT_AZURE_RETAIL, NULL,
     "[{\"Items\":[]},\n"
     "{\"Items\":["
     AZURE("Standard_D2s_v5", "0.1", "D2s v5", "Consumption", "") ","
     AZURE("Standard_NV12ads_A10_v5", "0.9", "NV12ads A10 v5", "Consumption", "") ","
     AZURE("Standard_NV72ads_A10_v5", "6.5", "NV72ads A10 v5", "Consumption",
           ",\"savingsPlan\":[{\"retailPrice\":1}]") ","
     AZURE("Standard_NV12s_v3", "1.14", "NV12s v3", "Consumption", "") ","
     AZURE("Standard_NC40ads_H100_v5", "0", "NC40ads H100 v5", "Consumption", "") ","
     AZURE("Standard_NC40ads_H100_v5", "7", "NC40ads H100 v5", "DevTestConsumption", "") ","
     AZURE("Standard_NC40ads_H100_v5", "7", "NC40ads H100 v5", "Consumption",
           ",\"effectiveEndDate\":\"2026-10-31T23:59:59Z\"")
     ",{\"armSkuName\":\"Standard_NC40ads_H100_v5\",\"retailPrice\":7.0e0}],\"NextPageLink\":null}]\n",
     "2! armSkuName: \"Standard_NV12ads_A10_v5\" has 0.333 of a GPU: a share of one is no offer\n"
     "3: azure Standard_NV72ads_A10_v5 westus2 2xa10 on_demand 6.5 instance_total 2026-11-01 a file\n"
     "4! armSkuName: it is not known which GPUs \"Standard_NV12s_v3\" has\n"
     "5! retailPrice: 0 is unknown, not free\n"
     "8! armRegionName: is missing\n"
     "8! currencyCode: is missing\n"
     "8! type: is missing\n"
     "8! serviceName: is missing\n"
     "8! productName: is missing\n"
     "8! skuName: is missing\n"
     "8! meterName: is missing\n"
     "8! unitOfMeasure: is missing\n"},
    {"azure: pages one after another, texts with brackets and quotes, another currency", IMPORT_AZURE_RETAIL, "azure",
     "{\"Note\":\"a \\\"[{ b\",\"Items\":[]}\r\n"
     "{\"Items\": [ {\"x\":\"}]\\\\\",\"armSkuName\":\"Standard_NC8as_T4_v3\",\"armRegionName\":\"westeurope\","
     "\"retailPrice\":2,\"currencyCode\":\"EUR\",\"type\":\"Consumption\",\"serviceName\":\"Virtual Machines\","
     "\"productName\":\"NCasT4_v3 Series\",\"skuName\":\"\",\"meterName\":\"\",\"unitOfMeasure\":\"1 Hour\"} ] }",
     "1: azure Standard_NC8as_T4_v3 westeurope 1xt4 on_demand 2.5 instance_total 2026-11-01 a file\n"},
    {"aws: lines before the header, a foreign record for each rule, and what counts GPUs", IMPORT_AWS_PRICE_LIST, NULL,
     "\"FormatVersion\",\"v1.0\"\n"
     "\"Disclaimer\",\"This pricing list is for informational purposes only, \"\"as is\"\"\"\n"
     "\"Publication Date\",\"2026-10-20T18:00:01Z\"\n"
     "\"Version\",\"20261020180001\"\n"
     "\"OfferCode\",\"AmazonEC2\"\n"
     "\"SKU\",\"TermType\",\"EffectiveDate\",\"Unit\",\"PricePerUnit\",\"Currency\",\"Product Family\","
     "\"Location Type\",\"Instance Type\",\"vCPU\",\"Memory\",\"Tenancy\",\"Operating System\","
     "\"License Model\",\"GPU\",\"CapacityStatus\",\"Pre Installed S/W\",\"Region Code\",\"MarketOption\"\n"
     AWS("OnDemand", "p5.48xlarge", "55.04", "Shared", "Linux", "8", "Used", "NA", "OnDemand")
     AWS("Reserved", "p5.48xlarge", "30", "Shared", "Linux", "8", "Used", "NA", "OnDemand")
     AWS("OnDemand", "p5.48xlarge", "60", "Dedicated", "Linux", "8", "Used", "NA", "OnDemand")
     AWS("OnDemand", "p5.48xlarge", "65", "Shared", "Windows", "8", "Used", "NA", "OnDemand")
     AWS("OnDemand", "p5.48xlarge", "0", "Shared", "Linux", "8", "AllocatedCapacityReservation", "NA", "OnDemand")
     AWS("OnDemand", "p5.48xlarge", "66", "Shared", "Linux", "8", "Used", "SQL Web", "OnDemand")
     AWS("OnDemand", "p5.48xlarge", "31.4", "Shared", "Linux", "8", "Used", "NA", "CapacityBlock")
     AWS("OnDemand", "c7i.large", "0.09", "Shared", "Linux", "", "Used", "NA", "OnDemand")
     AWS("OnDemand", "g5.12xlarge", "5.672", "Shared", "Linux", "", "Used", "NA", "OnDemand")
     AWS("OnDemand", "g6f.large", "0.2", "Shared", "Linux", "0.125", "Used", "NA", "OnDemand")
     AWS("OnDemand", "g3.8xlarge", "2.28", "Shared", "Linux", "2", "Used", "NA", "OnDemand")
     AWS("OnDemand", "trn1.32xlarge", "21.5", "Shared", "Linux", "NA", "Used", "NA", "OnDemand")
     AWS("OnDemand", "g6.xlarge", "0.0000000000", "Shared", "Linux", "1", "Used", "NA", "OnDemand")
     AWS("OnDemand", "g6.xlarge", "0.8", "Shared", "Linux", "one", "Used", "NA", "OnDemand"),
     "7: aws p5.48xlarge us-east-1 8xh100-sxm on_demand 55.04 192cpu 2048GiB instance_total 2026-10-20 a file\n"
     "15: aws g5.12xlarge us-east-1 4xa10g on_demand 5.672 192cpu 2048GiB instance_total 2026-10-20 a file\n"
     "16! Instance Type: \"g6f.large\" has 0.125 of a GPU: a share of one is no offer\n"
     "17! Instance Type: it is not known which GPUs \"g3.8xlarge\" has\n"
     "18: aws trn1.32xlarge us-east-1 16xtrainium1 on_demand 21.5 192cpu 2048GiB instance_total 2026-10-20 a file\n"
     "19! PricePerUnit: 0 is unknown, not free\n"
     "20! GPU: \"one\" is not a number\n"},
    {"measured results", IMPORT_MEASURED, NULL,
     MEASURED_HEADER
     "1,a report,vLLM,0.19,2026-10-02 dump,Llama-3.1-8B,fp8_block,fp8,H100-SXM-80GB,2,2.0,~150,128,64,"
     "closed-loop,5000,,30.5,A,n\n"
     "2,a report,trt,,75b6210f,Llama-3.1-8B,f16,,L40S-48GB,1,,128,,9,batch-1 decode,80,,,B,\n"
     "3,a report,warp,,,Llama-3.1-8B,,,L40S-48GB,1,,,,,static batch,80,,,B,\n"
     "4,a report,vLLM,,,Llama-9,,,L40S-48GB,1,,,,,static batch,80,,,B,\n"
     "5,a report,vLLM,,,Llama-3.1-8B,,,V1,1,,,,,static batch,80,,,B,\n"
     "6,a report,vLLM,,,Llama-3.1-8B,,,L40S-48GB,0,,,,,static batch,80,,,B,\n"
     "7,a report,vLLM,,,Llama-3.1-8B,,,L40S-48GB,1,1.5,,,,static batch,80,,,B,\n"
     "8,a report,vLLM,,,Llama-3.1-8B,,,L40S-48GB,1,,,,,often,80,,,B,\n"
     "9,a report,vLLM,,,Llama-3.1-8B,,,L40S-48GB,1,,,,,static batch,,,,B,\n"
     "10,a report,vLLM,,,Llama-3.1-8B,,,L40S-48GB,1,,,,,static batch,80,,,best,\n"
     ",a report,vLLM,,,Llama-3.1-8B,,,L40S-48GB,1,,,,,static batch,80,,,B,\n",
     "2: 1 vllm meta-llama/Llama-3.1-8B-Instruct on 2xh100-sxm, fp8 fp8 tp 2,"
     " concurrency 64 of 150 to 128 = 5000 tok/s, 30500 ms, A 2026-10-02\n"
     "3: 2 tensorrt-llm meta-llama/Llama-3.1-8B-Instruct on 1xl40s, fp16  tp nan,"
     " static_batch 1 of 128 to nan = 80 tok/s, nan ms, B 2026-11-01\n"
     "4! engine: there is no engine \"warp\"\n"
     "5! model: there is no model \"Llama-9\"; did you mean huggyllama/llama-7b?\n"
     "6! gpu: there is no GPU \"V1\"; did you mean v100-16gb-pcie, v100-16gb-sxm, v100-32gb-pcie?\n"
     "7! gpus_total: \"0\" is no whole number from 1 to 100000\n"
     "8! tp: \"1.5\" is no whole number from 1 to 4096\n"
     "9! load_mode: is none of closed-loop, static batch, max-load offline, batch-1 decode, batch-1 prefill, rate\n"
     "10! out_tok_s_total: neither this nor any other result is given\n"
     "11! trust: is none of A, B, C, D\n"
     "12! uid: is empty\n"},
    {"purchase prices", IMPORT_PURCHASE, NULL,
     "gpu_id,product,price_usd,date,price_type,detail,source,notes\n"
     "l4,NVIDIA L4,2500,2026-03,launch_msrp,,maker,\n"
     "l4,NVIDIA L4,2400,2026-10-02,contract,,our contract,10 pieces\n"
     "l4,NVIDIA L4,,2026-10-02,contract,,,\n"
     "l4,NVIDIA L4,0.5,2026-10-02,contract,,,\n"
     "l4,NVIDIA L4,1000,2026-10-02,gift,,,\n"
     "v1,V1,1000,2026-10-02,contract,,,\n",
     "2: l4 msrp 2500 2026-03-01 maker\n"
     "3: l4 contract 2400 2026-10-02 our contract\n"
     "4! price_usd: is empty\n"
     "5! price_usd: 0.5 USD is not from 1 to 1e+07\n"
     "6! price_type: is none of contract, list, web_estimate, listing, msrp\n"
     "7! gpu_id: \"v1\" is no GPU of the catalog\n"},
};
/* clang-format on */

static void what_files_become(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 1 << 20};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
            struct reading reading = {.text = samples[i].text, .length = strlen(samples[i].text), .piece = pieces[p]};
            struct import_counts counts = {0};
            char problem[256];
            print_message("%s\n", samples[i].what);
            assert_int_equal(read_text(&reading, samples[i].format, samples[i].provider, problem, &counts), STATUS_OK);
            assert_string_equal(reading.out, samples[i].expected);
            size_t refused = 0, rows = 0;
            for (const char *at = reading.out; *at; at++) {
                refused += *at == '!' && at[1] == ' ';
                rows += *at == ':' && (at[-1] >= '0' && at[-1] <= '9') && at[1] == ' ';
            }
            assert_int_equal(counts.rejected, refused);
            assert_int_equal(counts.accepted, rows);
        }
    }
}

static void what_is_no_such_file(void **state)
{
    (void)state;
    static const struct {
        enum import_format format;
        const char *text, *problem;
    } cases[] = {
        {IMPORT_CSV, "", "it is empty: it has no header"},
        {IMPORT_CSV, "provider,instance_type\n", "the column 'gpu_id' is missing"},
        {IMPORT_CSV, "provider,usd_per_hr\n", "'usd_per_hr' is no column of this format"},
        {IMPORT_CSV, "provider,provider\n", "the column 'provider' is there twice"},
        {IMPORT_GPUHUNT, "InstanceType,Price\n", "the column 'instance_name' is missing"},
        {IMPORT_AZURE_RETAIL, "", "it is empty: it has no page"},
        {IMPORT_AZURE_RETAIL, "[]", "it is empty: it has no page"},
        {IMPORT_AZURE_RETAIL, "<!DOCTYPE html>", "it is no JSON of pages: {\"Items\": [...]} is expected as page 1"},
        {IMPORT_AZURE_RETAIL, "{\"Items\":[]},", "it is no JSON of pages: {\"Items\": [...]} is expected after page 1"},
        {IMPORT_AZURE_RETAIL, "{\"error\":{\"code\":\"429\"}}", "page 1: it has no list \"Items\""},
        {IMPORT_AZURE_RETAIL, "{\"Items\":[1]}", "page 1: \"Items\" are not all objects"},
        {IMPORT_AZURE_RETAIL, "{\"Items\":[{\"a\":1}", "page 1: the file ends within it: it is cut off"},
        {IMPORT_AZURE_RETAIL, "[{\"Items\":[]}", "page 1: the file ends within it: it is cut off"},
        {IMPORT_AZURE_RETAIL, "{\"Items\":[]}{\"Items\":[{\"a\":]}", "item 1: unexpected token near ']'"},
        {IMPORT_AZURE_RETAIL, "{\"Items\":[],}", "page 1: string or '}' expected near '}'"},
        {IMPORT_AZURE_RETAIL, "{\"Items\":[{\"a\":\"\xff\"}]}", "item 1: unable to decode byte 0xff near '\"'"},
        {IMPORT_AWS_PRICE_LIST, "\"FormatVersion\",\"v1.0\"\n", "it is empty: it has no header"},
        {IMPORT_AWS_PRICE_LIST, "\"OfferCode\",\"AmazonEC2\"\n\"SKU\",\"Unit\"\n",
         "the column 'Instance Type' is missing"},
        {IMPORT_PURCHASE, "gpu_id,usd,kind,as_of,source\nl4,1,contract,\"2026\n",
         "line 2: a quoted field has no closing quote"},
        {IMPORT_PURCHASE, "gpu_id,usd,kind,as_of,source\nl4,2000,list,2026,\xff\n", "line 1: the file is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reading reading = {.text = cases[i].text, .length = strlen(cases[i].text), .piece = 16};
        struct import_counts counts = {.lines = 77};
        char problem[256];
        assert_int_equal(read_text(&reading, cases[i].format, "acme", problem, &counts), STATUS_INVALID_VALUE);
        assert_string_equal(problem, cases[i].problem);
        assert_int_equal(counts.lines, 77);
    }
}

static void a_failing_sink_ends_the_import(void **state)
{
    (void)state;
    const struct sample *sample = &samples[0];
    struct reading reading = {
        .text = sample->text, .length = strlen(sample->text), .piece = 100, .sink_status = STATUS_IO};
    struct import_counts counts = {0};
    char problem[256];
    assert_int_equal(read_text(&reading, sample->format, NULL, problem, &counts), STATUS_IO);
    assert_non_null(strstr(reading.out, "2: acme"));
    assert_null(strstr(reading.out, "3: acme"));
}

static void a_line_longer_than_the_window(void **state)
{
    (void)state;
    enum { LENGTH = 3 << 20 };
    char *text = malloc(LENGTH + 1), problem[256];
    assert_non_null(text);
    int head = snprintf(text, LENGTH, "%s\"", "gpu_id,usd,kind,as_of,source\n");
    memset(text + head, 'x', (size_t)(LENGTH - head));
    struct reading reading = {.text = text, .length = LENGTH, .piece = 1 << 16};
    struct import_counts counts = {0};
    assert_int_equal(read_text(&reading, IMPORT_PURCHASE, NULL, problem, &counts), STATUS_INVALID_VALUE);
    assert_string_equal(problem, "line 2 is longer than 1048576 bytes");
    free(text);
}

/* Records that lie across the ends of windows come out as if there were none. */
static void a_file_of_many_windows(void **state)
{
    (void)state;
    enum { ROWS = 60000, ROW_BYTES = 64 };
    char *text = malloc(ROWS * ROW_BYTES), problem[256];
    assert_non_null(text);
    size_t length = (size_t)snprintf(text, ROW_BYTES, "gpu_id,usd,kind,as_of,source\n");
    for (size_t i = 0; i < ROWS; i++)
        length += (size_t)snprintf(text + length, ROW_BYTES, "%s,%zu,list,2026,\"a \"\"b\"\"\n,c\"\n",
                                   i % 1000 ? "nothing" : "l4", 1000 + i);
    struct reading reading = {.text = text, .length = length, .piece = 12345};
    struct import_counts counts = {0};
    reading.quiet = true;
    assert_int_equal(read_text(&reading, IMPORT_PURCHASE, NULL, problem, &counts), STATUS_OK);
    assert_int_equal(counts.lines, ROWS);
    assert_int_equal(counts.accepted, ROWS / 1000);
    assert_int_equal(counts.rejected, ROWS - ROWS / 1000);
    assert_int_equal(reading.last_line, 2 * ROWS);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_files_become),
        cmocka_unit_test(what_is_no_such_file),
        cmocka_unit_test(a_failing_sink_ends_the_import),
        cmocka_unit_test(a_line_longer_than_the_window),
        cmocka_unit_test(a_file_of_many_windows),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
