/* text.c owns the strict reading of numbers and names, and the shortest printing of doubles. */
#include "catalog/text.h"

#include <ctype.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 10^22 is the last power of ten that a double holds exactly; a product or quotient of two exact doubles is
 * correctly rounded, so mantissas up to 2^53 with such an exponent need no big arithmetic (Clinger, PLDI 1990). */
static const double power_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { EXACT_EXPONENT = 22 };
#define EXACT_MANTISSA 9007199254740992U /* 2^53 */

struct decimal {
    const char *end; /* first character behind the number */
    uint64_t mantissa;
    int exponent; /* value = mantissa * 10^exponent, if exact */
    bool negative, exact, zero;
};

static void decimal_digit(struct decimal *decimal, char digit, bool after_point)
{
    decimal->zero = decimal->zero && digit == '0';
    if (decimal->mantissa >= EXACT_MANTISSA / 10) {
        decimal->exact = decimal->exact && after_point && digit == '0'; /* a zero at the end changes nothing */
        return;
    }
    decimal->mantissa = decimal->mantissa * 10 + (uint64_t)(digit - '0');
    decimal->exponent -= after_point;
}

static const char *scan_exponent(const char *text, struct decimal *decimal)
{
    bool negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    if (!isdigit((unsigned char)*text)) return NULL;
    int exponent = 0;
    for (; isdigit((unsigned char)*text); text++)
        if (exponent < 100000) exponent = exponent * 10 + (*text - '0');
    decimal->exponent += negative ? -exponent : exponent;
    return text;
}

/* -?(digits(.digits)?|.digits)([eE][+-]?digits)? */
static bool scan_decimal(const char *text, struct decimal *ret_decimal)
{
    struct decimal decimal = {.exact = true, .zero = true, .negative = *text == '-'};
    size_t whole = 0, fraction = 0;
    text += decimal.negative;
    for (; isdigit((unsigned char)*text); text++, whole++)
        decimal_digit(&decimal, *text, false);
    if (*text == '.') {
        for (text++; isdigit((unsigned char)*text); text++, fraction++)
            decimal_digit(&decimal, *text, true);
        if (fraction == 0) return false;
    }
    if (whole + fraction == 0) return false;
    if (*text == 'e' || *text == 'E') text = scan_exponent(text + 1, &decimal);
    if (!text) return false;
    decimal.end = text;
    *ret_decimal = decimal;
    return true;
}

static bool decimal_slow(const char *text, double *ret_value)
{
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc's static object: no allocation */
    if (!locale) return false;
    *ret_value = strtod_l(text, NULL, locale);
    freelocale(locale);
    return true;
}

static bool decimal_value(const char *text, const struct decimal *decimal, double *ret_value)
{
    double value = (double)decimal->mantissa;
    if (decimal->zero) {
        value = 0;
    } else if (decimal->exact && abs(decimal->exponent) <= EXACT_EXPONENT) {
        double power = power_of_ten[abs(decimal->exponent)];
        value = decimal->exponent < 0 ? value / power : value * power;
    } else {
        if (!decimal_slow(text + decimal->negative, &value)) return false;
        if (isinf(value) || value == 0) return false; /* out of a double's range: never silently 0 */
    }
    *ret_value = decimal->negative ? -value : value;
    return true;
}

bool text_parse_double(const char *text, double *ret_value)
{
    struct decimal decimal;
    return scan_decimal(text, &decimal) && *decimal.end == '\0' && decimal_value(text, &decimal, ret_value);
}

bool text_is_decimal(const char *text)
{
    struct decimal decimal;
    return scan_decimal(text, &decimal) && *decimal.end == '\0';
}

bool text_parse_int64(const char *text, int64_t *ret_value)
{
    bool negative = *text == '-';
    int64_t value = 0;
    text += negative;
    if (*text == '\0') return false;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text)) return false;
        int64_t digit = negative ? '0' - *text : *text - '0';
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value)) return false;
    }
    *ret_value = value;
    return true;
}

bool text_parse_count(const char *text, double *ret_value)
{
    static const struct {
        char suffix;
        double factor;
    } scales[] = {{'K', 1e3}, {'M', 1e6}, {'B', 1e9}, {'T', 1e12}};
    struct decimal decimal;
    double value = 0, factor = 0;
    if (!scan_decimal(text, &decimal)) return false;
    if (*decimal.end == '\0') return text_parse_double(text, ret_value);
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
        if (toupper((unsigned char)*decimal.end) == scales[i].suffix) factor = scales[i].factor;
    if (factor == 0 || decimal.end[1] != '\0' || !decimal_value(text, &decimal, &value)) return false;
    if (isinf(value * factor)) return false;
    *ret_value = value * factor;
    return true;
}

/* Writes digits d₀d₁… × 10^(exponent − n + 1) as ECMAScript prints numbers: plain from 1e-6 up to 1e21. */
static size_t place_digits(const char *digits, int n, int exponent, char *text)
{
    char *at = text;
    if (exponent < -6 || exponent >= 21) {
        *at++ = *digits;
        if (n > 1) *at++ = '.';
        memcpy(at, digits + 1, (size_t)n - 1);
        at += n - 1;
        at += snprintf(at, 8, "e%+d", exponent);
    } else if (exponent < 0) {
        memcpy(at, "0.00000", (size_t)(1 - exponent));
        at += 1 - exponent;
        memcpy(at, digits, (size_t)n);
        at += n;
    } else {
        int whole = exponent + 1;
        for (int i = 0; i < whole; i++)
            *at++ = i < n ? digits[i] : '0';
        if (n > whole) *at++ = '.';
        for (int i = whole; i < n; i++)
            *at++ = digits[i];
    }
    *at = '\0';
    return (size_t)(at - text);
}

static size_t place_mantissa(uint64_t mantissa, int scale, char *text)
{
    char digits[24];
    char *at = digits + sizeof digits;
    while (mantissa % 10 == 0)
        mantissa /= 10, scale++;
    for (; mantissa; mantissa /= 10)
        *--at = (char)('0' + mantissa % 10);
    int n = (int)(digits + sizeof digits - at);
    return place_digits(at, n, n - 1 + scale, text);
}

static size_t format_slow(double value, char *text)
{
    char buffer[NUMBER_TEXT_BYTES], digits[20];
    int n = 0;
    double back = 0;
    for (int precision = value < DBL_MIN ? 1 : 15; precision <= 17; precision++) { /* subnormals hold fewer digits */
        (void)snprintf(buffer, sizeof buffer, "%.*e", precision - 1, value);
        if (decimal_slow(buffer, &back) && back == value) break;
    }
    const char *at = buffer;
    for (; *at != 'e'; at++)
        if (isdigit((unsigned char)*at)) digits[n++] = *at; /* whatever the locale's point is */
    while (n > 1 && digits[n - 1] == '0')
        n--;
    struct decimal exponent = {0};
    (void)scan_exponent(at + 1, &exponent);
    return place_digits(digits, n, exponent.exponent, text);
}

/* A decimal of at most 15 digits that reads back as `value` is the only one, so it is the shortest. Tries the 7
 * digits that hold everything from round6 first: fewer divisions. */
static size_t format_magnitude(double value, char *text)
{
    if (value < 1e15 && value == (double)(uint64_t)value) return place_mantissa((uint64_t)value, 0, text);
    int binary = 0;
    (void)frexp(value, &binary);
    int magnitude = (int)floor((binary - 1) * 0.30102999566398120); /* decimal exponent, or one below */
    for (int digits = 6; digits <= 14; digits += 8) {
        int scale = digits - magnitude;
        if (scale < 0 || scale > EXACT_EXPONENT) continue;
        uint64_t mantissa = (uint64_t)(value * power_of_ten[scale] + 0.5);
        if (mantissa < 1000000000000000U && (double)mantissa / power_of_ten[scale] == value)
            return place_mantissa(mantissa, -scale, text);
    }
    return format_slow(value, text);
}

size_t text_format_double(double value, char text[NUMBER_TEXT_BYTES])
{
    if (!isfinite(value)) {
        memcpy(text, "null", 5);
        return 4;
    }
    if (value == 0) {
        memcpy(text, "0", 2);
        return 1;
    }
    size_t sign = value < 0;
    text[0] = '-';
    return sign + format_magnitude(fabs(value), text + sign);
}

void text_hash(const char *text, size_t length, char ret_hex[HASH_TEXT_BYTES])
{
    unsigned char hash[HASH_TEXT_BYTES / 2];
    (void)crypto_generichash(hash, sizeof hash, (const unsigned char *)text, length, NULL, 0);
    (void)sodium_bin2hex(ret_hex, HASH_TEXT_BYTES, hash, sizeof hash);
}

size_t text_distance(const char *a, const char *b, size_t limit)
{
    enum { NAME_MAX_BYTES = 255 };
    size_t row[NAME_MAX_BYTES + 1];
    size_t length_a = strlen(a), length_b = strlen(b);
    size_t apart = length_a > length_b ? length_a - length_b : length_b - length_a;
    if (apart > limit || length_b > NAME_MAX_BYTES) return limit + 1;
    for (size_t j = 0; j <= length_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t diagonal = row[0], best = row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t cost = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            size_t gap = (row[j - 1] < row[j] ? row[j - 1] : row[j]) + 1;
            diagonal = row[j];
            row[j] = cost < gap ? cost : gap;
            if (row[j] < best) best = row[j];
        }
        if (best > limit) return limit + 1;
    }
    return row[length_b] > limit ? limit + 1 : row[length_b];
}

/* Length of the well-formed sequence at `at` (Unicode 15, table 3-7), 0 if there is none. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high, length;
    } forms[] = {{0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
                 {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
                 {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (at[0] < forms[i].first_low || at[0] > forms[i].first_high) continue;
        if (left < forms[i].length || at[1] < forms[i].second_low || at[1] > forms[i].second_high) return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((at[k] & 0xC0) != 0x80) return 0;
        return forms[i].length;
    }
    return 0;
}

size_t text_utf8_prefix(const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t i = 0;
    while (i < length) {
        size_t step = at[i] < 0x80 ? 1 : utf8_sequence(at + i, length - i);
        if (step == 0) break;
        i += step;
    }
    return i;
}

bool text_valid_utf8(const char *text, size_t length)
{
    return text_utf8_prefix(text, length) == length;
}
