/* embed.h owns the shape of files that are built into the program. */
#pragma once

struct embedded_file {
    const char *name;        /* NULL ends the table */
    const char *begin, *end; /* the bytes; *end is a NUL that does not belong to the file */
};
extern const struct embedded_file catalog_data[]; /* catalog/data */
