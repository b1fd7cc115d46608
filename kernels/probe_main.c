/* probe_main.c owns the program gpusize-probe: its arguments, its progress, its exit status. Standard output has one
 * JSON object, whatever happens. */
#include "catalog/text.h"
#include "kernels/report.h"

#ifdef PROBE_FAKE
#include "kernels/probe_fake.h"
#endif

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_MEASURED = 0, EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_WAIVED = 77 };
enum { SECRET_MIN_BYTES = 16, SECRET_MAX_BYTES = 4096, MESSAGE_BYTES = 256 };

struct choices {
    struct host_run_options run;
    bool samples, help, version;
    char secret[SECRET_MAX_BYTES];
    char problem[MESSAGE_BYTES]; /* "": all is well */
};

#ifdef __SANITIZE_ADDRESS__
/* CUDA maps memory where the sanitizer keeps a gap. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "protect_shadow_gap=0";
}
#endif

static const char help_text[] =
    "Measures what decides how fast this machine serves a language model, and prints it as one JSON object:\n"
    "bandwidth of memory, speed of matrix products by data type, reading of a KV cache, launches, links. It takes\n"
    "about 20 seconds for each GPU, at most 29, and changes no setting. See docs/calibrate.md; gpusize calibrate\n"
    "runs this program and shows a table.\n\n"
    "Usage: gpusize-probe [OPTIONS]\n\nExamples:\n"
    "  gpusize-probe > report.json                  every GPU, or the CPU where there is none\n"
    "  gpusize-probe --device 0 --only stream,gemm  two groups on the first GPU\n"
    "  gpusize-probe --device cpu                   the CPU alone\n\n"
    "Options:\n"
    "  --device all|cuda|cpu|N  What to measure: every GPU and the host's CPU (all, the default; where there is no\n"
    "                           GPU, the CPU alone), GPUs only (cuda), the CPU, or one GPU, counted from 0.\n"
    "  --only GROUP[,GROUP]     Some of the groups below.\n"
    "  --quick                  Fewer samples, and fewer groups: about 8 seconds.\n"
    "  --samples                Puts every time that was taken into the report.\n"
    "  --device-key FILE        Names each GPU by a hash of its UUID and the secret in FILE (16 bytes or more);\n"
    "                           without it nothing in the report tells which GPU it was.\n"
#ifdef PROBE_FAKE
    "  --fake NAME              Which part this stand-in plays, and how it fails: h200+gemm:segv\n"
#endif
    "  --version, --help\n\nGroups:\n";

static int print_help(void)
{
    (void)fputs(help_text, stdout);
    for (int i = 0; host_run_group_name(i); i++)
        (void)printf("  %-12s %s\n", host_run_group_name(i), host_run_group_about(i));
    return puts("\nExit status: 0 something was measured on what was asked for; 77 nothing could be, and the report\n"
                "says why; 1 it failed; 2 the arguments are wrong.") < 0
               ? EXIT_ERROR
               : EXIT_MEASURED;
}

/* --- arguments --- */

static void take_device(struct choices *choices, const char *value)
{
    static const struct {
        const char *name;
        enum device_choice choice;
    } names[] = {{"all", DEVICE_ALL}, {"cuda", DEVICE_CUDA}, {"cpu", DEVICE_CPU}};
    int64_t ordinal = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(value, names[i].name) != 0) continue;
        choices->run.choice = names[i].choice;
        return;
    }
    choices->run.choice = DEVICE_ONE;
    if (text_parse_int64(value, &ordinal) && ordinal >= 0 && ordinal < DEVICES_MAX)
        choices->run.ordinal = (int)ordinal;
    else
        (void)snprintf(choices->problem, sizeof choices->problem,
                       "--device: \"%.40s\" is none of all, cuda, cpu and 0 to %d", value, DEVICES_MAX - 1);
}

static void take_groups(struct choices *choices, const char *value)
{
    while (*value) {
        size_t length = strcspn(value, ",");
        int group = host_run_group(value, length);
        if (group < 0)
            (void)snprintf(choices->problem, sizeof choices->problem,
                           "--only: there is no group \"%.*s\"; gpusize-probe --help lists them",
                           (int)(length < 40 ? length : 40), value);
        else
            choices->run.groups |= 1U << group;
        value += length + (value[length] == ',');
    }
    if (!choices->run.groups && !*choices->problem)
        (void)snprintf(choices->problem, sizeof choices->problem, "--only: needs the names of groups");
}

/* What ends a line that an editor made is no part of the secret. */
static void take_secret(struct choices *choices, const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(choices->secret, 1, sizeof choices->secret, file) : 0;
    bool failed = !file || ferror(file);
    if (file) (void)fclose(file);
    while (length && (choices->secret[length - 1] == '\n' || choices->secret[length - 1] == '\r'))
        length--;
    choices->run.secret = choices->secret;
    choices->run.secret_length = length;
    if (failed)
        (void)snprintf(choices->problem, sizeof choices->problem, "--device-key: %.150s cannot be read", path);
    else if (length < SECRET_MIN_BYTES || length == sizeof choices->secret)
        (void)snprintf(choices->problem, sizeof choices->problem,
                       "--device-key: %.100s has %zu bytes; a secret has %d to %d", path, length, SECRET_MIN_BYTES,
                       SECRET_MAX_BYTES - 1);
}

static void take_fake(struct choices *choices, const char *name)
{
#ifdef PROBE_FAKE
    if (!probe_fake_choose(name))
        (void)snprintf(choices->problem, sizeof choices->problem, "--fake: \"%.40s\" is none of %s", name,
                       probe_fake_names);
#else
    (void)choices, (void)name;
#endif
}

static const struct option long_options[] = {
    {"device", required_argument, NULL, 'd'},
    {"only", required_argument, NULL, 'o'},
    {"quick", no_argument, NULL, 'q'},
    {"samples", no_argument, NULL, 's'},
    {"device-key", required_argument, NULL, 'k'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
#ifdef PROBE_FAKE
    {"fake", required_argument, NULL, 'f'},
#endif
    {NULL, 0, NULL, 0},
};

static void take_option(struct choices *choices, int option, char **argv)
{
    switch (option) {
    case 'd': take_device(choices, optarg); break;
    case 'o': take_groups(choices, optarg); break;
    case 'q': choices->run.quick = true; break;
    case 's': choices->samples = true; break;
    case 'k': take_secret(choices, optarg); break;
    case 'f': take_fake(choices, optarg); break;
    case 'h': choices->help = true; break;
    case 'v': choices->version = true; break;
    case ':': (void)snprintf(choices->problem, sizeof choices->problem, "%.60s needs a value", argv[optind - 1]); break;
    default:
        (void)snprintf(choices->problem, sizeof choices->problem, "there is no option %.60s", argv[optind - 1]);
        break;
    }
}

/* The last problem is as good as the first. */
static void take_arguments(struct choices *choices, int argc, char **argv)
{
    for (int option; (option = getopt_long(argc, argv, ":", long_options, NULL)) >= 0;)
        take_option(choices, option, argv);
    if (optind < argc) (void)snprintf(choices->problem, sizeof choices->problem, "%.60s is no option", argv[optind]);
    int cpu = host_run_group("cpu", 3);
    if (choices->run.choice == DEVICE_CPU && (choices->run.groups & ~(1U << cpu)))
        (void)snprintf(choices->problem, sizeof choices->problem, "--only: the CPU has the group cpu alone");
    if (choices->run.choice != DEVICE_CPU && choices->run.choice != DEVICE_ALL && choices->run.groups == 1U << cpu)
        (void)snprintf(choices->problem, sizeof choices->problem, "--only: the group cpu is none of a GPU");
}

/* --- the run --- */

static void show_progress(const char *what, void *sink)
{
    (void)fprintf(sink, "gpusize-probe: %s\n", what);
}

/* For tests: a tenth of the time makes every limit come soon. */
static double time_scale(void)
{
    const char *given = getenv("GPUSIZE_PROBE_TIME_SCALE");
    double scale = 1;
    return given && text_parse_double(given, &scale) && scale > 0 ? scale : 1;
}

static int run(struct choices *choices)
{
    static const int statuses[] = {
        [VERDICT_PASSED] = EXIT_MEASURED,
        [VERDICT_PARTIAL] = EXIT_MEASURED,
        [VERDICT_WAIVED] = EXIT_WAIVED,
        [VERDICT_ERROR] = EXIT_ERROR,
    };
    static const struct probe_build build = {
        .version = GPUSIZE_VERSION, .cuda = PROBE_CUDA_VERSION, .sass = PROBE_SASS, .ptx = PROBE_PTX};
    struct host_run host;
    choices->run.time_scale = time_scale();
    if (isatty(STDERR_FILENO)) choices->run.progress = show_progress;
    choices->run.sink = stderr;
    host_run_do(&choices->run, &host);
    char *report = report_make(&host, &build, choices->samples);
    bool written = report && fputs(report, stdout) >= 0 && fflush(stdout) == 0;
    int status = statuses[host_run_verdict(&host)];
    if (!written) (void)fputs("gpusize-probe: the report cannot be written\n", stderr);
    free(report);
    host_run_free(&host);
    return written ? status : EXIT_ERROR;
}

int main(int argc, char **argv)
{
    static struct choices choices;
#ifdef PROBE_FAKE
    (void)probe_fake_choose("h100");
#endif
    take_arguments(&choices, argc, argv);
    if (choices.help) return print_help();
    if (choices.version) return puts("gpusize-probe " GPUSIZE_VERSION) < 0 ? EXIT_ERROR : EXIT_MEASURED;
    if (!*choices.problem) return run(&choices);
    (void)fprintf(stderr, "gpusize-probe: %s\n", choices.problem);
    return EXIT_USAGE;
}
