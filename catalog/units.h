/* units.h owns the units that would hurt if they were mixed: bytes against gigabytes, money, days. */
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define GIB 1073741824.0 /* 2^30 bytes: what an allocator sees */
#define MIB 1048576.0
#define GB 1e9 /* 10^9 bytes: nominal sizes */
#define HOURS_PER_YEAR 8760.0
#define HOURS_PER_MONTH 730.0 /* a twelfth of a year: the month of price lists */
#define MS_PER_S 1e3
#define UNKNOWN ((double)NAN) /* a figure that nobody knows; never 0 */

static inline bool is_known(double value)
{
    return !isnan(value);
}

/* Money: whole micro-dollars, so that sums and comparisons are exact and the same on every machine. */
typedef struct {
    int64_t micro;
} usd_t;

#define USD_UNKNOWN ((usd_t){INT64_MIN})
#define USD(dollars) ((usd_t){(int64_t)((dollars)*1000000LL)})

bool usd_known(usd_t amount);
usd_t usd_from_double(double dollars); /* half-even; USD_UNKNOWN for NaN and what does not fit */
double usd_to_double(usd_t amount);    /* NaN if unknown */
usd_t usd_add(usd_t a, usd_t b);       /* USD_UNKNOWN if either is, or on overflow */
usd_t usd_sub(usd_t a, usd_t b);
usd_t usd_times(usd_t amount, double factor); /* half-even to the micro-dollar */
int usd_compare(usd_t a, usd_t b);            /* <0, 0, >0; unknown sorts last */

/* Days since 1970-01-01, for dated facts. */
typedef struct {
    int32_t days;
} date_t;

#define DATE_UNKNOWN ((date_t){INT32_MIN})
enum { DATE_TEXT_BYTES = 16 };
bool date_known(date_t date);
bool date_parse(const char *text, date_t *ret_date); /* YYYY-MM-DD, also YYYY-MM and YYYY (first day) */
const char *date_format(date_t date, char text[DATE_TEXT_BYTES]);

/* The one rounding of computed numbers: 6 significant digits, half-even. It comes before every comparison,
 * ranking and print, so that the same question gives the same bytes on every machine. */
double round6(double value);

int double_compare(const void *a, const void *b); /* of doubles that are known, for qsort: the least first */
