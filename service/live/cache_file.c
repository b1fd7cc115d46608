/* cache_file.c owns the layout of the cache file: a line that says what it is, the checksum of all that follows, the
 * version, the second of its last check, then per catalog file a line "name length" and its bytes. */
#include "live/cache_file.h"

#include "catalog/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "gpusize catalog cache 1\n"
enum {
    HEAD_BYTES = sizeof MAGIC - 1 + HASH_TEXT_BYTES, /* with the checksum's own line end */
    FILE_MAX_BYTES = 512 << 20,
    ABSENT = -1, /* as length */
};

static enum status refuse(struct problems *problems, const char *path, const char *reason)
{
    return problems_add(problems, STATUS_IO, "snapshot_cache", "%s: %s", path, reason);
}

/* New: the caller frees it. */
static char *compose(const struct live_texts *texts, int64_t current_unix_s, size_t *ret_length)
{
    char *bytes = NULL, hash[HASH_TEXT_BYTES];
    size_t length = 0;
    FILE *out = open_memstream(&bytes, &length);
    if (!out) return NULL;
    (void)fprintf(out, "%s%*s\n%s\n%lld\n", MAGIC, HASH_TEXT_BYTES - 1, "", texts->version, (long long)current_unix_s);
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++) {
        const struct catalog_text *file = &texts->files[i];
        (void)fprintf(out, "%s %lld\n", catalog_bundled()[i].name, file->text ? (long long)file->length : ABSENT);
        if (file->text) (void)fwrite(file->text, 1, file->length, out);
    }
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(bytes);
        return NULL;
    }
    text_hash(bytes + HEAD_BYTES, length - HEAD_BYTES, hash);
    memcpy(bytes + sizeof MAGIC - 1, hash, sizeof hash - 1);
    *ret_length = length;
    return bytes;
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes += written;
        length -= (size_t)written;
    }
    return fsync(fd) == 0;
}

/* A file of its own beside the old one, then its name: a crash leaves one of them whole. */
static bool replace(const char *path, const char *bytes, size_t length, struct arena *arena)
{
    char *temporary = arena_printf(arena, "%s.XXXXXX", path);
    int fd = temporary ? mkstemp(temporary) : -1;
    if (fd < 0) return false;
    bool written = write_all(fd, bytes, length);
    int error = errno;
    if (close(fd) != 0 && written) {
        written = false;
        error = errno;
    }
    if (written && rename(temporary, path) == 0) return true;
    if (written) error = errno;
    (void)unlink(temporary);
    errno = error;
    return false;
}

enum status cache_file_write(const char *path, const struct live_texts *texts, int64_t current_unix_s,
                             struct problems *problems)
{
    size_t length = 0;
    char *bytes = compose(texts, current_unix_s, &length);
    if (!bytes) return problems_add(problems, STATUS_OUT_OF_MEMORY, "snapshot_cache", "no memory for the cache file");
    enum status status = STATUS_OK;
    if (!replace(path, bytes, length, problems->arena))
        status = problems_add(problems, STATUS_IO, "snapshot_cache", "%s cannot be written: %s", path, strerror(errno));
    free(bytes);
    return status;
}

/* The whole file, ended by a NUL. */
static enum status read_all(const char *path, struct arena *arena, struct problems *problems, char **ret_bytes,
                            size_t *ret_length)
{
    FILE *file = fopen(path, "rbe");
    if (!file && errno == ENOENT) return STATUS_NOT_FOUND;
    struct stat info = {0};
    bool sized = file && fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= FILE_MAX_BYTES;
    char *bytes = sized ? arena_alloc(arena, (size_t)info.st_size + 1) : NULL;
    size_t length = bytes ? fread(bytes, 1, (size_t)info.st_size, file) : 0;
    int error = errno;
    if (file) (void)fclose(file);
    if (!file) return refuse(problems, path, strerror(error));
    if (!sized) return refuse(problems, path, "is no file, or too large for a cache file");
    if (!bytes) return problems_add(problems, STATUS_OUT_OF_MEMORY, "snapshot_cache", "no memory for the cache file");
    *ret_bytes = bytes;
    *ret_length = length;
    return STATUS_OK;
}

/* Cuts a line off; NULL if none ends before the end. */
static char *take_line(char **rest, const char *end)
{
    char *line = *rest, *newline = memchr(line, '\n', (size_t)(end - line));
    if (!newline) return NULL;
    *newline = '\0';
    *rest = newline + 1;
    return line;
}

static bool take_file(char **rest, const char *end, const char *name, struct catalog_text *ret_file)
{
    char *line = take_line(rest, end), *space = line ? strchr(line, ' ') : NULL;
    int64_t length = 0;
    if (!space || !text_parse_int64(space + 1, &length) || length < ABSENT || length > end - *rest) return false;
    *space = '\0';
    if (strcmp(line, name) != 0) return false;
    *ret_file = (struct catalog_text){
        .name = name,
        .text = length == ABSENT ? NULL : *rest,
        .length = length == ABSENT ? 0 : (size_t)length,
    };
    *rest += ret_file->length;
    return true;
}

enum status cache_file_read(const char *path, struct arena *arena, struct problems *problems,
                            struct live_texts *ret_texts, int64_t *ret_current_unix_s)
{
    char *bytes = NULL, hash[HASH_TEXT_BYTES];
    size_t length = 0;
    enum status status = read_all(path, arena, problems, &bytes, &length);
    if (status != STATUS_OK) return status;
    if (length < HEAD_BYTES || memcmp(bytes, MAGIC, sizeof MAGIC - 1) != 0)
        return refuse(problems, path, "is no catalog cache of this version of gpusize");
    text_hash(bytes + HEAD_BYTES, length - HEAD_BYTES, hash);
    hash[sizeof hash - 1] = '\n';
    if (memcmp(bytes + sizeof MAGIC - 1, hash, sizeof hash) != 0)
        return refuse(problems, path, "is damaged: its checksum is not that of its content");
    struct live_texts texts = {0};
    int64_t current_unix_s = 0;
    char *rest = bytes + HEAD_BYTES, *end = bytes + length;
    texts.version = take_line(&rest, end);
    const char *current = texts.version ? take_line(&rest, end) : NULL;
    bool good = current && text_parse_int64(current, &current_unix_s);
    for (size_t i = 0; good && i < CATALOG_FILE_COUNT; i++)
        good = take_file(&rest, end, catalog_bundled()[i].name, &texts.files[i]);
    if (!good || rest != end) return refuse(problems, path, "was written by another version of gpusize");
    *ret_texts = texts;
    *ret_current_unix_s = current_unix_s;
    return STATUS_OK;
}
