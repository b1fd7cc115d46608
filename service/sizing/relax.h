/* relax.h owns the way out of an impossible question: per constraint the smallest change that works.
 * Private to sizing. */
#pragma once
#include "sizing/search.h"

/* Tries every constraint that is set, alone. Sorted by relative size; lists last. */
enum status relax(const struct question *question, const struct recommend_request *request, struct arena *arena,
                  struct recommendation *answer) MUST_CHECK;

/* `to` in six digits, no nearer to `from` than it is: what is told must work. */
double relax_outwards(double from, double to);
