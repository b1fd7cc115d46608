/* monitor_screen.h owns the terminal while something is shown live: taken over, drawn, and given back as it was. */
#pragma once
#include "cli/monitor_view.h"

/* Whether standard output is a terminal on which a cursor can be moved. */
bool screen_is_there(void);
/* Takes it over: another screen, no cursor, keys without echo. */
void screen_enter(void);
/* Gives it back; also when it was not taken. */
void screen_leave(void);
struct view_style screen_style(void);
/* Draws the lines over the last ones. false: the terminal is gone. */
bool screen_draw(const char *text, size_t length);
/* Whether a key that ends was pressed: q. */
bool screen_quit(void);
