#!/bin/sh
# source_rules.sh owns the rules that no compiler checks: which box may use which library, which functions nobody
# may use, and the first line of a file.
cd "$1" || exit 1
sources=$(find catalog service kernels -name '*.[ch]' | sort)
tests=$(find tests tools -name '*.[ch]' | sort)

report() { # report MESSAGE: prints it above the lines on standard input, if there are any
    lines=$(cat)
    [ -z "$lines" ] || printf '%s:\n%s\n' "$1" "$lines"
}

only_in() { # only_in HEADER FOLDER...: the header is included in no other folder
    header=$1
    shift
    allowed=$(printf '^%s/[^/]*:|' "$@")
    # shellcheck disable=SC2086
    grep -nE "#include <$header" $sources | grep -vE "${allowed%|}" | report "<$header> may be included in $* only"
}

never() { # never PATTERN WHAT [EXCEPT]: no source uses it
    # shellcheck disable=SC2086
    grep -nE "$1" $sources $tests | grep -vE "^(${3:-none})[:0-9]" | report "$2"
}

# shellcheck disable=SC2086
first_lines() {
    for file in $sources; do
        head -n 1 "$file" | grep -q '^/\*' || echo "$file"
    done
}

rules() {
    only_in jansson.h catalog/hf service/wire service/import service/calibrate service/monitor kernels
    only_in microhttpd.h service/http
    only_in libpq-fe.h service/store
    only_in sodium.h catalog service/http service/api service/store service/keys service/monitor kernels
    only_in curl/ service/fetch
    only_in nlopt.h service/fit
    only_in zip.h service/import
    only_in zlib.h service/http service/record
    only_in brotli/ service/http
    never '\b(atoi|atol|atoll|atof|sprintf|vsprintf|strcpy|strcat|gets|strtok|alloca)[[:space:]]*\(' 'banned function'
    never '\bstrto(d|f|ld|l|ll|ul|ull|imax|umax)[[:space:]]*\(' 'text becomes a number in catalog/text.c only' 'catalog/text\.c'
    never '\b(exit|_exit|abort)[[:space:]]*\(' 'libraries do not exit' '(service/main\.c|tests/.*|tools/.*|service/cli/.*|kernels/child\.c|kernels/probe_.*\.c)'
    first_lines | report 'the first line says what the file owns'
}

found=$(rules)
[ -z "$found" ] && exit 0
printf '%s\n' "$found"
exit 1
