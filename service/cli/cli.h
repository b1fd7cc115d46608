/* cli.h owns the shape of the command line: subcommands, exit statuses, and what they are given. */
#pragma once
#include "api/operation.h"
#include "http/server.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_NOTHING = 1, /* answered, but nothing fits: `recommended` is null */
    CLI_USAGE = 2,   /* the question is wrong: every bad field is named */
    CLI_FAILED = 3,  /* the world is: no memory, no port, no file */
};

/* What the program is made of: only main knows all of it. */
struct cli {
    const struct route *routes;
    void (*fail)(struct request *request, enum status status);
};

struct cli_command {
    const char *name, *summary;
    int (*run)(const struct cli *cli, int argc, char **argv); /* argv[0] is the name */
};
extern const struct cli_command cli_commands[]; /* besides the operations; ended by a NULL name */

/* Runs the program: argv as main got it. Returns the exit status. */
int cli_main(const struct cli *cli, int argc, char **argv);

/* An operation asked from the command line. */
int cli_ask(const struct operation *operation, int argc, char **argv);
/* Its options that are no field of the question, by number; NULL after the last. */
const char *cli_form_option(size_t number);
/* Help of one operation on standard output. */
void cli_operation_help(const struct operation *operation);

int cli_serve(const struct cli *cli, int argc, char **argv);
int cli_migrate(const struct cli *cli, int argc, char **argv);
int cli_import(const struct cli *cli, int argc, char **argv);
int cli_evaluate(const struct cli *cli, int argc, char **argv);
int cli_fit(const struct cli *cli, int argc, char **argv);
int cli_calibrate(const struct cli *cli, int argc, char **argv);
int cli_monitor(const struct cli *cli, int argc, char **argv);
int cli_replay(const struct cli *cli, int argc, char **argv);
int cli_key(const struct cli *cli, int argc, char **argv);
int cli_completion(const struct cli *cli, int argc, char **argv);

/* Problems as lines on standard error. Returns CLI_USAGE for the caller's mistakes, CLI_FAILED for ours. */
int cli_report(const struct problems *problems, enum status status);

struct settings;
struct store;
/* The bundled catalog, with the profiles of the settings laid over it and what their reports say beside it. */
enum status cli_load_catalog(const struct settings *settings, struct problems *problems,
                             struct snapshot **ret_snapshot) MUST_CHECK;
/* The database of the settings, for a command of that name; a problem if none is set. A database that hangs is no
 * longer waited for a little after a statement's time. */
enum status cli_open_store(const struct settings *settings, const char *application_name, unsigned connections_max,
                           struct problems *problems, struct store **ret_store) MUST_CHECK;
/* The database's catalog, of the newest version (`number` < 0) or of another. */
enum status cli_read_catalog(struct store *store, int64_t number, struct problems *problems,
                             struct snapshot **ret_snapshot) MUST_CHECK;
/* A whole text file of at most max_bytes, or standard input ("-"), in the arena; problems name `field`. */
enum status cli_read_file(const char *path, size_t max_bytes, struct arena *arena, const char *field,
                          struct problems *problems, const char **ret_text, size_t *ret_length) MUST_CHECK;
/* Today in UTC. */
date_t cli_today(void);
/* Writes and flushes; false if standard output is gone or full. */
bool cli_write(const char *bytes, size_t length);
/* The same as a line of its own; false also if `out` failed. */
struct out;
bool cli_write_line(const struct out *out);
