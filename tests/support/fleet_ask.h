/* fleet_ask.h owns the way in which tests ask fleet questions: JSON with single quotes in, the structures behind the
 * answer or its text out, on the bundled catalog or on one that was changed. */
#pragma once
#include "api/fleet.h"
#include "catalog/load.h"
#include "sizing/question.h"

struct asked {
    char body[4096]; /* the question as JSON */
    struct arena arena;
    struct problems problems;
    struct out out;
    struct input *input;
    struct call call;
    enum status status;
    struct fleet_answer answer; /* if status is OK */
};

/* The bundled catalog; the same files with their data rows in an order that the seed names. Fails the test if the
 * catalog is refused. */
struct snapshot *fleet_catalog(void);
struct snapshot *fleet_catalog_shuffled(unsigned seed);
/* The bundled catalog with these lines of measured.csv in place of its own. */
struct snapshot *fleet_catalog_measured(const char *lines);

/* Asks the operation recommend; `format` as printf, ' for ". Free with fleet_done. */
struct asked *fleet_ask(const struct snapshot *snapshot, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, with at most so many bytes of memory. */
struct asked *fleet_ask_within(const struct snapshot *snapshot, size_t max_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Runs the whole operation and leaves its JSON in out.data. */
struct asked *fleet_ask_text(const struct snapshot *snapshot, const char *operation, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fleet_done(struct asked *asked);

/* The question as the search sees it. */
struct question fleet_question(struct asked *asked);
/* The recommended option; fails the test if there is none. */
const struct option *fleet_best(const struct asked *asked);
/* Index of a GPU by id; fails the test if there is none. */
uint32_t fleet_gpu(const struct snapshot *snapshot, const char *id);
/* NULL if the GPU is among the options. */
const struct rejection *fleet_rejection(const struct asked *asked, const char *gpu);
/* NULL if there is none. */
const struct relaxation *fleet_relaxation(const struct asked *asked, const char *constraint);
/* Whether a problem of this status is recorded for the field. */
bool fleet_has_problem(const struct asked *asked, enum status status, const char *field);
