#!/bin/sh
# keep_output.sh owns the record of what a compiler says: keep_output.sh FILE COMMAND... shows it only if it fails.
file=$1
shift
"$@" >"$file" 2>&1 && {
    grep -iE 'warning|error' "$file" | sort -u
    exit 0
}
status=$?
cat "$file"
rm -f "$file"
exit $status
