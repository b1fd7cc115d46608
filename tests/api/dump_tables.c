/* dump_tables.c prints the tables of routes and fields as JSON: what test_contract.py compares with openapi.yaml. */
#include "../../service/routes.h"

#include "api/operation.h"
#include "catalog/loaders.h"
#include "wire/out.h"

#include <stdio.h>

static const char *const kinds[] = {
    [FIELD_NUMBER] = "number",
    [FIELD_INTEGER] = "integer",
    [FIELD_BOOL] = "bool",
    [FIELD_CHOICE] = "choice",
    [FIELD_CHOICES] = "choices",
    [FIELD_TEXT] = "text",
    [FIELD_LINE] = "line",
    [FIELD_DATE] = "date",
    [FIELD_TEXTS] = "texts",
    [FIELD_COUNTS] = "counts",
    [FIELD_MODEL] = "model",
    [FIELD_HISTOGRAM] = "histogram",
    [FIELD_ADJUSTMENTS] = "adjustments",
    [FIELD_REQUESTS] = "requests",
};

static const char *const works[] = {
    [ROUTE_INLINE] = "inline",
    [ROUTE_COMPUTES] = "computes",
    [ROUTE_STORES] = "stores",
};

static void put_field(struct out *out, const struct field *field)
{
    out_object(out, NULL);
    out_text(out, "name", field->name);
    out_text(out, "group", field->group);
    out_text(out, "alias", field->alias);
    out_text(out, "kind", kinds[field->kind]);
    out_number(out, "min", field->min);
    out_number(out, "max", field->max);
    out_array(out, "names");
    for (size_t i = 0; field->names && field->names[i]; i++)
        out_text(out, NULL, field->names[i]);
    out_array_end(out);
    out_bool(out, "required", field->required);
    out_text(out, "unit", field->unit);
    out_text(out, "preset", field->preset);
    out_text(out, "help", field->help);
    out_object_end(out);
}

static void put_column(struct out *out, const struct column *column)
{
    static const char *const cells[] = {
        [CELL_TEXT] = "text", [CELL_ID] = "text",   [CELL_DOUBLE] = "number", [CELL_UINT32] = "integer",
        [CELL_BOOL] = "bool", [CELL_DATE] = "date", [CELL_USD] = "number",    [CELL_CHOICE] = "choice"};
    out_object(out, NULL);
    out_text(out, "name", column->header);
    out_text(out, "kind", cells[column->kind]);
    out_bool(out, "required", column->required);
    out_number(out, "min", column->low);
    out_number(out, "max", column->high);
    out_array(out, "names");
    for (unsigned i = 0; i < column->choice_count; i++)
        out_text(out, NULL, column->choice_name(i));
    out_array_end(out);
    out_object_end(out);
}

/* What an entry of the catalog consists of. */
static void put_entries(struct out *out)
{
    static const struct {
        const char *noun;
        const struct table *table;
    } entries[] = {{"gpu", &gpu_table}, {"model", &model_table}, {"offer", &offer_table}};
    out_object(out, "entries");
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        out_array(out, entries[i].noun);
        for (size_t k = 0; k < entries[i].table->column_count; k++)
            if (!entries[i].table->columns[k].loose) put_column(out, &entries[i].table->columns[k]);
        out_array_end(out);
    }
    out_object_end(out);
}

static void put_operations(struct out *out, const char *key, const struct operation *const *listed)
{
    out_array(out, key);
    for (size_t i = 0; listed[i]; i++) {
        const struct operation *operation = listed[i];
        out_object(out, NULL);
        out_text(out, "id", operation->id);
        out_text(out, "command", operation->command);
        out_text(out, "summary", operation->summary);
        out_text(out, "work", works[operation->stores ? ROUTE_STORES : operation->computes]);
        out_bool(out, "recorded", operation->recorded);
        out_text(out, "tables", operation->tables);
        out_text(out, "lines", operation->lines);
        out_array(out, "fields");
        for (size_t k = 0; k < operation->field_count; k++)
            put_field(out, &operation->fields[k]);
        out_array_end(out);
        out_array(out, "examples");
        for (size_t k = 0; operation->examples && operation->examples[k]; k++)
            out_text(out, NULL, operation->examples[k]);
        out_array_end(out);
        out_object_end(out);
    }
    out_array_end(out);
}

static void put_routes(struct out *out)
{
    out_array(out, "routes");
    for (const struct route *route = routes; route->path; route++) {
        out_object(out, NULL);
        out_text(out, "operation_id", route->operation_id);
        out_text(out, "path", route->path);
        out_bool(out, "get", route->methods & ROUTE_GET);
        out_bool(out, "post", route->methods & ROUTE_POST);
        out_bool(out, "patch", route->methods & ROUTE_PATCH);
        out_bool(out, "delete", route->methods & ROUTE_DELETE);
        out_bool(out, "writes", route->access >= ROUTE_REPORT);
        out_bool(out, "formats", route->formats);
        out_text(out, "work", works[route->work]);
        out_integer(out, "body_max_bytes", (int64_t)route->body_max_bytes);
        out_object_end(out);
    }
    out_array_end(out);
}

int main(void)
{
    struct out out;
    out_init(&out, 0);
    out_object(&out, NULL);
    put_operations(&out, "operations", operations);
    put_operations(&out, "writes", writes);
    put_operations(&out, "monitors", monitors);
    put_entries(&out);
    put_routes(&out);
    out_object_end(&out);
    bool ok = !out.failed && fwrite(out.data, 1, out.length, stdout) == out.length;
    out_done(&out);
    return ok ? 0 : 1;
}
