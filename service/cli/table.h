/* table.h owns answers as a person at a terminal reads them. */
#pragma once
#include "api/operation.h"

/* The answer that is in call->out. */
enum status table_print(const struct operation *operation, const struct call *call) MUST_CHECK;
/* Whether bars may be drawn with more than ASCII. */
bool terminal_is_utf8(void);
