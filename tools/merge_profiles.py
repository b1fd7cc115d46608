#!/usr/bin/env python3
"""Puts what `gpusize fit` wrote into the bundled engine profiles.

usage: tools/merge_profiles.py FITTED.csv...

Rows of a fit take the place of those of the same profile and name in catalog/data/engine_profiles.csv, and all groups
of a fitted profile that of its former ones. A row that says what the profile inherits anyway is left out.
"""
import csv
import pathlib
import sys

CATALOG = pathlib.Path(__file__).resolve().parent.parent / "catalog" / "data" / "engine_profiles.csv"
COLUMNS = ["engine", "version_from", "version_to", "coefficient", "value", "source", "as_of",
           "load", "gpu", "family", "weight_dtype"]
GROUP = COLUMNS[7:]


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [{column: row.get(column) or "" for column in COLUMNS} for row in csv.DictReader(file)]


def profile_of(row):
    return f"{row['engine']} {row['version_from']}"


def key_of(row):
    return (profile_of(row), row["coefficient"], *(row[column] for column in GROUP))


def inherits_itself(row):
    return row["coefficient"] == "inherits" and row["value"] == profile_of(row)


def value_of(rows, parents, profile, name):
    """What a profile has for a coefficient, by itself or by those that it inherits from; None: nothing."""
    while profile:
        row = rows.get((profile, name, "", "", "", ""))
        if row:
            return row["value"]
        profile = parents.get(profile)
    return None


def main(paths):
    fitted = [row for path in paths for row in read(path) if not inherits_itself(row)]
    refitted = {profile_of(row) for row in fitted}
    kept = [row for row in read(CATALOG) if not (profile_of(row) in refitted and row["load"])]
    rows = {key_of(row): row for row in kept} | {key_of(row): row for row in fitted}
    parents = {profile_of(row): row["value"] for row in rows.values() if row["coefficient"] == "inherits"}
    for key, row in list(rows.items()):
        plain = not row["load"] and row["coefficient"] != "inherits"
        if plain and value_of(rows, parents, parents.get(profile_of(row)), row["coefficient"]) == row["value"]:
            del rows[key]
    with open(CATALOG, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
