/* monitor_screen.c owns the control sequences (ECMA-48, and xterm's 1049) and the terminal's modes. */
#include "cli/monitor_screen.h"

#include "cli/cli.h"
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { COLUMNS = 80, ROWS = 24 };

static struct termios before;
static bool taken, has_keys;

static bool put(const char *text)
{
    return cli_write(text, strlen(text));
}

bool screen_is_there(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

void screen_enter(void)
{
    has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (has_keys) {
        struct termios quiet = before;
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
        quiet.c_cc[VMIN] = 0;
        quiet.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
    }
    taken = put("\x1b[?1049h\x1b[?25l\x1b[2J");
}

void screen_leave(void)
{
    if (taken) (void)put("\x1b[0m\x1b[?25h\x1b[?1049l");
    if (has_keys) (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    taken = has_keys = false;
}

struct view_style screen_style(void)
{
    struct winsize size = {0};
    const char *no_colour = getenv("NO_COLOR");
    struct view_style style = {COLUMNS, ROWS, terminal_is_utf8(), !no_colour || !*no_colour};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        style.columns = size.ws_col;
        style.rows = size.ws_row;
    }
    return style;
}

/* One write for a frame: the end of each line is cleared before it ends, and what is below the last one. */
bool screen_draw(const char *text, size_t length)
{
    struct out frame;
    out_init(&frame, 0);
    out_raw(&frame, "\x1b[H", 3);
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        const size_t line = end ? (size_t)(end - text) - at : length - at;
        out_raw(&frame, text + at, line);
        out_raw(&frame, "\x1b[K\r\n", 5);
        at += line + 1;
    }
    out_raw(&frame, "\x1b[J", 3);
    const bool drawn = frame.failed || cli_write(frame.data, frame.length);
    out_done(&frame);
    return drawn;
}

bool screen_quit(void)
{
    char key = 0;
    return has_keys && read(STDIN_FILENO, &key, 1) == 1 && (key == 'q' || key == 'Q');
}
