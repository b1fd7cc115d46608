/* devices.c owns which libraries are asked, when one is opened anew, and the GPUs that were seen. */
#include "hw/devices.h"

#include "hw/gpu_library.h"
#include "hw/host_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KNOWN_MAX = 64,  /* GPUs that are remembered */
    LOOK_AGAIN = 10, /* readings between looks for a library that is not there, or for a GPU that is lost */
};

/* A library, and what is known of it. */
struct source {
    const struct gpu_library *library;
    const struct source *instead_of; /* not asked while that one has a session */
    void *session;                   /* NULL: it is not open */
    size_t count;
    unsigned wait;     /* readings until it is tried again */
    size_t gone;       /* GPUs that did not answer in this reading */
    unsigned lost_for; /* readings in which a GPU of it is lost */
    bool was_open;
    char why[GPU_TEXT_BYTES]; /* not open: why; "" = never tried */
};

enum { NVML, AMD_SMI, ROCM_SMI, SOURCES };

struct known { /* a GPU that was seen */
    struct gpu_reading identity;
    struct source *source;
    bool seen; /* in this reading */
};

struct devices {
    const char *proc;
    struct source sources[SOURCES];
    struct known known[KNOWN_MAX];
    size_t known_count;
};

enum status devices_open(const char *proc, struct problems *problems, struct devices **ret_devices)
{
    struct devices *devices = calloc(1, sizeof *devices);
    if (!devices) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the devices");
    devices->proc = proc;
    devices->sources[NVML].library = &gpu_library_nvml;
    devices->sources[AMD_SMI].library = &gpu_library_amd_smi;
    devices->sources[ROCM_SMI].library = &gpu_library_rocm_smi;
    devices->sources[ROCM_SMI].instead_of = &devices->sources[AMD_SMI];
    *ret_devices = devices;
    return STATUS_OK;
}

static void close_source(struct source *source)
{
    if (source->session) source->library->end(source->session);
    source->session = NULL;
}

void devices_close(struct devices *devices)
{
    for (size_t i = 0; devices && i < SOURCES; i++)
        close_source(&devices->sources[i]);
    free(devices);
}

/* A library whose driver went away is tried in the next reading and in each after it; one that never was there is
 * passed over for LOOK_AGAIN readings between two tries; one that has had lost GPUs in LOOK_AGAIN readings, one after
 * another, is begun anew. */
static bool is_open(struct source *source)
{
    if (source->lost_for >= LOOK_AGAIN) {
        close_source(source);
        source->lost_for = 0;
    }
    if (source->session) return true;
    if (source->instead_of && source->instead_of->session) return false;
    if (source->wait > 0) {
        source->wait--;
        return false;
    }
    source->session = source->library->begin(&source->count, source->why);
    if (!source->session) source->wait = source->was_open ? 0 : LOOK_AGAIN;
    source->was_open = source->was_open || source->session;
    return source->session;
}

/* --- GPUs that are known --- */

static struct known *find_known(struct devices *devices, const char *uuid)
{
    for (size_t i = 0; i < devices->known_count; i++) {
        if (strcmp(devices->known[i].identity.uuid, uuid) == 0) return &devices->known[i];
    }
    return NULL;
}

/* Gives the reading its index, which is for ever that GPU's. false: there are too many. */
static bool know(struct devices *devices, struct source *source, struct gpu_reading *reading)
{
    struct known *known = find_known(devices, reading->uuid);
    if (!known && devices->known_count < KNOWN_MAX) {
        known = &devices->known[devices->known_count];
        known->source = source;
        known->identity = gpu_reading_unknown();
        known->identity.index = (int)devices->known_count++;
        memcpy(known->identity.uuid, reading->uuid, sizeof reading->uuid);
        memcpy(known->identity.name, reading->name, sizeof reading->name);
    }
    if (!known || known->seen) return false;
    known->seen = true;
    reading->index = known->identity.index;
    return true;
}

/* --- one reading --- */

static void read_source(struct devices *devices, struct source *source, struct arena *arena, struct gpu_reading *gpus,
                        size_t *count)
{
    source->gone = 0;
    if (!is_open(source)) return;
    *source->why = '\0';
    for (size_t i = 0; i < source->count; i++) {
        struct gpu_reading reading = gpu_reading_unknown();
        const enum gpu_answer answer =
            source->library->read(source->session, i, devices->proc, arena, &reading, source->why);
        if (answer == LIBRARY_GONE) {
            close_source(source);
            return;
        }
        source->gone += answer == GPU_GONE;
        if (answer == GPU_GONE) continue;
        if (!*reading.uuid) (void)snprintf(reading.uuid, sizeof reading.uuid, "no-uuid-%zu", i);
        if (know(devices, source, &reading)) gpus[(*count)++] = reading;
    }
}

static int compare_index(const void *a, const void *b)
{
    const struct gpu_reading *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* The GPUs that were not seen this time. One that was reset is seen by a new session only. `ret_strange`: of each
 * source, those that were never seen. */
static void add_lost(struct devices *devices, struct gpu_reading *gpus, size_t *count, size_t ret_strange[SOURCES])
{
    size_t lost_of[SOURCES] = {0};
    for (size_t i = 0; i < devices->known_count; i++) {
        const struct known *known = &devices->known[i];
        if (known->seen) continue;
        struct gpu_reading *lost = &gpus[(*count)++];
        *lost = known->identity;
        (void)snprintf(lost->lost, sizeof lost->lost, "%s",
                       *known->source->why ? known->source->why : "the driver no longer lists it");
        lost_of[known->source - devices->sources]++;
    }
    for (size_t i = 0; i < SOURCES; i++) {
        struct source *source = &devices->sources[i];
        ret_strange[i] = source->session && source->gone > lost_of[i] ? source->gone - lost_of[i] : 0;
        source->lost_for = (lost_of[i] || ret_strange[i]) && source->session ? source->lost_for + 1 : 0;
    }
}

/* What there is to say of libraries: of all if there is no GPU, else of those that were there; and of GPUs that have
 * never answered, so that nobody knows which they are. */
static const char *reason_of(const struct devices *devices, const size_t strange[SOURCES], struct arena *arena)
{
    const char *reason = "";
    for (size_t i = 0; reason && i < SOURCES; i++) {
        const struct source *source = &devices->sources[i];
        const char *between = *reason ? "; " : "";
        if (strange[i])
            reason = arena_printf(arena, "%s%s%zu GPU%s of the driver's never answered: %s", reason, between,
                                  strange[i], strange[i] == 1 ? "" : "s", source->why);
        else if (!source->session && *source->why && (!devices->known_count || source->was_open))
            reason = arena_printf(arena, "%s%s%s", reason, between, source->why);
    }
    return reason;
}

enum status devices_read(struct devices *devices, struct arena *arena, struct devices_reading *ret_reading)
{
    struct gpu_reading *gpus = ARENA_ARRAY(arena, KNOWN_MAX, struct gpu_reading);
    size_t count = 0;
    if (!gpus) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < devices->known_count; i++)
        devices->known[i].seen = false;
    for (size_t i = 0; i < SOURCES; i++)
        read_source(devices, &devices->sources[i], arena, gpus, &count);
    size_t strange[SOURCES] = {0};
    add_lost(devices, gpus, &count, strange);
    const char *reason = reason_of(devices, strange, arena);
    if (!reason) return STATUS_OUT_OF_MEMORY;
    qsort(gpus, count, sizeof *gpus, compare_index);
    *ret_reading = (struct devices_reading){host_memory_read(devices->proc), gpus, count, reason};
    return STATUS_OK;
}
