/* units.c owns the arithmetic of money, days and the one rounding. */
#include "catalog/units.h"

#include <stdio.h>
#include <string.h>

bool usd_known(usd_t amount)
{
    return amount.micro != INT64_MIN;
}

usd_t usd_from_double(double dollars)
{
    double micro = nearbyint(dollars * 1e6);
    if (!(fabs(micro) < 9.2e18)) return USD_UNKNOWN;
    return (usd_t){(int64_t)micro};
}

double usd_to_double(usd_t amount)
{
    return usd_known(amount) ? (double)amount.micro / 1e6 : UNKNOWN;
}

usd_t usd_add(usd_t a, usd_t b)
{
    usd_t sum;
    if (!usd_known(a) || !usd_known(b) || __builtin_add_overflow(a.micro, b.micro, &sum.micro)) return USD_UNKNOWN;
    return sum;
}

usd_t usd_sub(usd_t a, usd_t b)
{
    return usd_known(b) ? usd_add(a, (usd_t){-b.micro}) : USD_UNKNOWN;
}

usd_t usd_times(usd_t amount, double factor)
{
    if (!usd_known(amount)) return USD_UNKNOWN;
    double micro = nearbyint((double)amount.micro * factor);
    if (!(fabs(micro) < 9.2e18)) return USD_UNKNOWN;
    return (usd_t){(int64_t)micro};
}

int usd_compare(usd_t a, usd_t b)
{
    if (!usd_known(a) || !usd_known(b)) return (int)usd_known(b) - (int)usd_known(a);
    return (a.micro > b.micro) - (a.micro < b.micro);
}

/* Civil calendar from a day count and back: the proleptic Gregorian rules, counted in eras of 400 years that
 * start on 1 March (Hinnant, "chrono-compatible low-level date algorithms", 2021: the formulas). */
static int32_t days_from_civil(int32_t year, int32_t month, int32_t day)
{
    year -= month <= 2;
    int32_t era = (year >= 0 ? year : year - 399) / 400;
    int32_t year_of_era = year - era * 400;
    int32_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int32_t days, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day)
{
    days += 719468;
    int32_t era = (days >= 0 ? days : days - 146096) / 146097;
    int32_t day_of_era = days - era * 146097;
    int32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int32_t shifted = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *ret_month = shifted + (shifted < 10 ? 3 : -9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

bool date_known(date_t date)
{
    return date.days != INT32_MIN;
}

static bool digits(const char *text, int count, int32_t *ret_value)
{
    int32_t value = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (text[i] - '0');
    }
    *ret_value = value;
    return true;
}

bool date_parse(const char *text, date_t *ret_date)
{
    int32_t year = 0, month = 1, day = 1;
    size_t length = strlen(text);
    if (length != 4 && length != 7 && length != 10) return false;
    if (!digits(text, 4, &year) || year < 1970 || year > 2200) return false;
    if (length >= 7 && (text[4] != '-' || !digits(text + 5, 2, &month))) return false;
    if (length == 10 && (text[7] != '-' || !digits(text + 8, 2, &day))) return false;
    int32_t back_year = 0, back_month = 0, back_day = 0;
    int32_t days = days_from_civil(year, month, day);
    civil_from_days(days, &back_year, &back_month, &back_day);
    if (back_year != year || back_month != month || back_day != day) return false; /* no such day */
    ret_date->days = days;
    return true;
}

const char *date_format(date_t date, char text[DATE_TEXT_BYTES])
{
    int32_t year = 0, month = 0, day = 0;
    text[0] = '\0';
    if (!date_known(date)) return text;
    civil_from_days(date.days, &year, &month, &day);
    (void)snprintf(text, DATE_TEXT_BYTES, "%04d-%02d-%02d", year, month, day);
    return text;
}

enum { EXACT_POWERS = 23 }; /* 10^22 is the last power of ten that a double holds exactly */
static const double power_of_ten[EXACT_POWERS] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static double scale_by_ten(double value, int exponent)
{
    while (exponent > 0) {
        int step = exponent < EXACT_POWERS ? exponent : EXACT_POWERS - 1;
        value *= power_of_ten[step];
        exponent -= step;
    }
    while (exponent < 0) {
        int step = -exponent < EXACT_POWERS ? -exponent : EXACT_POWERS - 1;
        value /= power_of_ten[step];
        exponent += step;
    }
    return value;
}

double round6(double value)
{
    if (value == 0 || !isfinite(value)) return value;
    int binary = 0;
    (void)frexp(value, &binary);
    int exponent = (int)floor((binary - 1) * 0.30102999566398120); /* at most one below the decimal exponent */
    double mantissa = scale_by_ten(value, 5 - exponent);
    if (fabs(mantissa) >= 1e6) mantissa = scale_by_ten(value, 5 - ++exponent);
    return scale_by_ten(nearbyint(mantissa), exponent - 5);
}

int double_compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
