/* import_fetch.h owns `gpusize import KIND --fetch`: where each kind of price list is published, and its download. */
#pragma once
#include "api/import_job.h"

/* As fetch_fields decodes it, with what the kind of import has by default. */
struct fetch_request {
    const char *url; /* {version} in it stands for what the file `version` in its place holds */
    int64_t size_max_mib, timeout_s, stall_s;
    bool paged; /* a page may name the next */
};
enum { FETCH_FIELDS = 4 };
extern const struct field fetch_fields[FETCH_FIELDS];

enum status fetch_request_decode(const struct input *input, const struct import_request *import, struct arena *arena,
                                 struct problems *problems, struct fetch_request *ret_request) MUST_CHECK;

/* All of it, in a file that has no name any more, and the URL as it may be kept. The file is there so that a transfer
 * can be tried again, an import can begin again after a lost connection to the database, a zip can be read from its
 * end, and no transaction waits for a slow server. It stands at its beginning; close it. */
enum status import_fetch(const struct fetch_request *request, struct problems *problems, FILE **ret_file,
                         const char **ret_shown_url) MUST_CHECK;
