/* archive.c owns libzip: entries of a zip, their limits, and what is wrong with one. */
#include "import/archive.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zip.h>

enum { ENTRIES_MAX = 1000, REASON_BYTES = 200 };

struct archive {
    zip_t *zip;
    zip_file_t *entry; /* NULL: none is open */
    const char *name;
    zip_int64_t next;
    int64_t left_bytes;
    char reason[REASON_BYTES]; /* "" while all is well */
};

bool archive_is(const char *bytes, size_t length)
{
    return length >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0);
}

/* --- opening --- */

static zip_t *open_file(FILE *file, int *ret_code)
{
    int descriptor = dup(fileno(file));
    zip_t *zip = descriptor >= 0 ? zip_fdopen(descriptor, ZIP_CHECKCONS, ret_code) : NULL;
    if (!zip && descriptor >= 0) (void)close(descriptor);
    return zip;
}

static zip_t *open_text(const char *text, size_t length, int *ret_code)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(text, length, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
    if (!zip) zip_source_free(source);
    *ret_code = zip_error_code_zip(&error);
    zip_error_fini(&error);
    return zip;
}

enum status archive_open(FILE *file, const char *text, size_t length, int64_t size_max_bytes, struct problems *problems,
                         struct archive **ret_archive)
{
    int code = ZIP_ER_OPEN;
    struct archive *archive = calloc(1, sizeof *archive);
    if (!archive) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the zip");
    archive->left_bytes = size_max_bytes;
    archive->zip = file ? open_file(file, &code) : open_text(text, length, &code);
    if (archive->zip && zip_get_num_entries(archive->zip, 0) <= ENTRIES_MAX) {
        *ret_archive = archive;
        return STATUS_OK;
    }
    bool many = archive->zip;
    archive_close(archive);
    if (many)
        return problems_add(problems, STATUS_INVALID_VALUE, "file", "the zip has more than %d files", ENTRIES_MAX);
    if (code == ZIP_ER_MEMORY) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the zip");
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    enum status status = problems_add(problems, STATUS_INVALID_VALUE, "file", "the zip is damaged or cut off: %s",
                                      zip_error_strerror(&error));
    zip_error_fini(&error);
    return status;
}

static void close_entry(struct archive *archive)
{
    if (archive->entry) (void)zip_fclose(archive->entry);
    archive->entry = NULL;
}

void archive_close(struct archive *archive)
{
    if (!archive) return;
    close_entry(archive);
    if (archive->zip) zip_discard(archive->zip);
    free(archive);
}

/* --- entries --- */

static bool is_csv(const char *name)
{
    static const char ending[] = ".csv";
    size_t length = strlen(name), end = sizeof ending - 1;
    return length > end && strcasecmp(name + length - end, ending) == 0;
}

static enum status open_entry(struct archive *archive, zip_uint64_t index, struct problems *problems)
{
    zip_stat_t stat;
    if (zip_stat_index(archive->zip, index, 0, &stat) == 0 && stat.valid & ZIP_STAT_ENCRYPTION_METHOD &&
        stat.encryption_method != ZIP_EM_NONE)
        return problems_add(problems, STATUS_INVALID_VALUE, "file", "%s in the zip is encrypted", archive->name);
    archive->entry = zip_fopen_index(archive->zip, index, 0);
    if (archive->entry) return STATUS_OK;
    return problems_add(problems, STATUS_INVALID_VALUE, "file", "%s in the zip cannot be unpacked: %s", archive->name,
                        zip_strerror(archive->zip));
}

enum status archive_next(struct archive *archive, struct problems *problems, const char **ret_name)
{
    close_entry(archive);
    for (; archive->next < zip_get_num_entries(archive->zip, 0); archive->next++) {
        archive->name = zip_get_name(archive->zip, (zip_uint64_t)archive->next, 0);
        if (!archive->name || !is_csv(archive->name)) continue;
        *ret_name = archive->name;
        return open_entry(archive, (zip_uint64_t)archive->next++, problems);
    }
    *ret_name = NULL;
    return STATUS_OK;
}

enum status archive_read(struct archive *archive, char *buffer, size_t size, size_t *ret_length)
{
    zip_int64_t length = zip_fread(archive->entry, buffer, size);
    if (length < 0)
        (void)snprintf(archive->reason, sizeof archive->reason, "%s", zip_file_strerror(archive->entry));
    else if (length > archive->left_bytes)
        (void)snprintf(archive->reason, sizeof archive->reason, "the zip holds more than is unpacked at most");
    if (*archive->reason) return STATUS_INVALID_VALUE;
    archive->left_bytes -= length;
    *ret_length = (size_t)length;
    return STATUS_OK;
}

enum status archive_explain(const struct archive *archive, struct problems *problems)
{
    if (!*archive->reason) return STATUS_OK;
    return problems_add(problems, STATUS_INVALID_VALUE, "file", "%s in the zip: %s", archive->name, archive->reason);
}
