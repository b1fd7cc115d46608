/* driver.c owns the replay of a corpus: gives every file of the folders (and every file) named on the command line
 * to the fuzz target. It fails if there is nothing to replay. */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    struct stat info;
    bool done = false;
    if (fstat(fileno(file), &info) == 0) {
        size_t size = (size_t)info.st_size;
        uint8_t *data = malloc(size ? size : 1); /* exactly as long, so that reading past the end is seen */
        done = data && fread(data, 1, size, file) == size;
        if (done) {
            LLVMFuzzerTestOneInput(data, size);
        }
        free(data);
    }
    if (!done) {
        fprintf(stderr, "%s: cannot be read\n", path);
    }
    fclose(file);
    return done;
}

static bool replay_folder(const char *folder, int *count)
{
    struct dirent **entries = NULL;
    int entry_count = scandir(folder, &entries, NULL, alphasort);
    bool good = entry_count >= 0;
    for (int i = 0; i < entry_count; i++) {
        char *path = NULL;
        if (entries[i]->d_name[0] != '.' && asprintf(&path, "%s/%s", folder, entries[i]->d_name) >= 0) {
            good = replay_file(path) && good;
            free(path);
            ++*count;
        }
        free(entries[i]);
    }
    free(entries);
    return good;
}

int main(int argc, char **argv)
{
    int count = 0;
    bool good = true;
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            good = replay_folder(argv[i], &count) && good;
        } else {
            good = replay_file(argv[i]) && good;
            count++;
        }
    }
    printf("%d inputs replayed\n", count);
    return good && count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
