"""test_contract.py compares openapi.yaml with the tables of routes and fields, both ways, and with what is made from
it."""
import importlib.util
import json
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
# What the query says about the form of the answer, beside the fields of the question.
FORM = {"format", "field", "columns", "errors", "limit"}
MODEL_IN_QUERY = {"parameters", "weights_gb"}


@pytest.fixture(scope="module")
def make_pages():
    spec = importlib.util.spec_from_file_location("make_pages", PROJECT / "tools" / "make_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def declared_paths(contract):
    return {(path, method) for (method, path) in contract.operations}


def routed_paths(tables):
    for route in tables["routes"]:
        for method in ("get", "post", "patch", "delete"):
            if route[method]:
                yield route, route["path"], method
                if route["formats"]:
                    yield route, route["path"] + ".{format}", method


def test_routes_and_paths_agree(tables, contract):
    routed = {(path, method) for _, path, method in routed_paths(tables)}
    assert routed == declared_paths(contract)


def test_operation_ids_are_those_of_the_routes(tables, contract):
    for route, path, method in routed_paths(tables):
        name = contract.operations[method, path]["operationId"]
        name = name.removeprefix("short_") if path.startswith("/recommend") else name
        name = name.removesuffix("_by_query") if method == "get" and route["post"] else name
        name = name.removesuffix("_as") if path.endswith("{format}") else name
        assert name == route["operation_id"], f"{method} {path}"
    names = [operation["operationId"] for operation in contract.operations.values()]
    assert len(names) == len(set(names))


def test_routes_work_where_operations_do(tables):
    every = tables["operations"] + tables["writes"] + tables["monitors"]
    work = {operation["id"]: operation["work"] for operation in every}
    for route in tables["routes"]:
        works = [work[route["operation_id"]]] if route["operation_id"] in work else ["inline", "stores"]
        assert route["work"] in works, route["path"]


def test_every_operation_has_a_route_and_examples(tables):
    routed = {route["operation_id"] for route in tables["routes"]}
    for operation in tables["operations"]:
        assert operation["id"] in routed
        assert operation["summary"].endswith(".")
        assert operation["examples"], operation["id"]
        for example in operation["examples"]:
            assert example.startswith(f"gpusize {operation['command']}")


def test_hosts_are_told_of_by_http_alone(tables):
    routed = {route["operation_id"] for route in tables["routes"]}
    for operation in tables["monitors"]:
        assert operation["id"] in routed and operation["summary"].endswith(".")
        assert operation["command"] is None and operation["examples"] == []


def told(tables):
    """Operations that are questions: of the monitor's all but the report."""
    return tables["operations"] + [one for one in tables["monitors"] if one["id"] != "monitor_report"]


def all_fields(tables):
    for operation in told(tables):
        for field in operation["fields"]:
            yield operation, field


def test_a_name_means_the_same_everywhere(tables):
    # One weight format is a list of one.
    kinds = {"text": "texts"}
    seen = {}
    for operation, field in all_fields(tables):
        meaning = (field["group"], kinds.get(field["kind"], field["kind"]), field["unit"], field["min"], field["max"])
        first = seen.setdefault(field["name"], (operation["id"], meaning))
        assert first[1] == meaning, f"{field['name']} of {operation['id']} against {first[0]}"


def test_names_are_unique_in_an_operation(tables):
    for operation in told(tables):
        names = [field["name"] for field in operation["fields"]] + [
            field["alias"] for field in operation["fields"] if field["alias"]]
        assert len(names) == len(set(names)), operation["id"]


def test_every_field_is_explained(tables):
    for operation, field in all_fields(tables):
        assert field["help"] and field["help"].endswith("."), f"{operation['id']} {field['name']}"


def request_fields(contract, schema):
    """name -> (group, schema, required) of a request schema."""
    fields = {}
    for name, member in schema["properties"].items():
        if member.get("type") == "object" and "properties" in member:
            assert member["additionalProperties"] is False, name
            for leaf, value in member["properties"].items():
                fields[leaf] = (name, value, leaf in member.get("required", []))
        else:
            fields[name] = ("", value_of(contract, member), name in schema.get("required", []))
    return fields


def value_of(contract, schema):
    return contract.resolve(schema)


TYPES = {"number": "number", "integer": "integer", "bool": "boolean", "choice": "string", "choices": "array",
         "text": "string", "line": "string", "date": "string", "texts": "array", "counts": "object", "histogram": "array",
         "adjustments": "array", "requests": "array"}
FLAT_TYPES = {**TYPES, "counts": "string", "histogram": "string", "adjustments": "string", "requests": "string",
              "model": "string"}


def check_field(field, schema, types, where):
    if field["kind"] == "model" and types is TYPES:
        assert "oneOf" in schema, where
        return
    assert schema["type"] == types[field["kind"]], where
    if field["kind"] in ("number", "integer"):
        assert (schema["minimum"], schema["maximum"]) == (field["min"], field["max"]), where
    if field["kind"] in ("choice", "choices"):
        names = schema["items"]["enum"] if field["kind"] == "choices" else schema["enum"]
        assert names == field["names"], where
    if "default" in schema:
        assert str(schema["default"]) == field["preset"], where


def check_described(field, description, where):
    for word in (field["help"], field["unit"]):
        assert not word or word in description, f"{where}: '{word}' is not in '{description}'"


def questions(tables, contract):
    """(operation of the table, path, method, operation of the contract)"""
    by_id = {operation["id"]: operation for operation in told(tables)}
    for route, path, method in routed_paths(tables):
        if route["operation_id"] in by_id:
            yield by_id[route["operation_id"]], path, method, contract.operations[method, path]


def test_bodies_and_field_tables_agree(tables, contract):
    compared = 0
    for operation, path, method, declared in questions(tables, contract):
        if method != "post":
            continue
        schema = contract.resolve(declared["requestBody"]["content"]["application/json"]["schema"])
        assert schema["additionalProperties"] is False
        fields = request_fields(contract, schema)
        assert list(sorted(fields)) == sorted(field["name"] for field in operation["fields"]), path
        for field in operation["fields"]:
            group, value, required = fields[field["name"]]
            where = f"{path} {field['name']}"
            assert group == field["group"] and required == field["required"], where
            check_field(field, value, TYPES, where)
            check_described(field, value.get("description", ""), where) if field["kind"] != "model" else None
            compared += 1
    assert compared > 100


def test_queries_and_field_tables_agree(tables, contract):
    for operation, path, method, declared in questions(tables, contract):
        parameters = {one["name"]: one for one in map(contract.resolve, declared["parameters"])}
        assert all(one["in"] == "query" for one in parameters.values())
        asked = method == "get" or operation["lines"]  # beside lines in the body the question is the query
        own = {field["name"]: field for field in operation["fields"]} if asked else {}
        expected = FORM | set(own) | ({"store"} if operation["recorded"] else set())
        expected |= {"rows"} if operation["tables"] else set()
        if any(field["kind"] == "model" for field in own.values()):
            expected |= MODEL_IN_QUERY
        assert set(parameters) == expected, f"{method} {path}"
        for name, field in own.items():
            where = f"{method} {path} {name}"
            check_field(field, parameters[name]["schema"], FLAT_TYPES, where)
            check_described(field, parameters[name]["description"], where)
            assert parameters[name].get("x-alias") == field["alias"], where


HEADERS = {"create": {"Idempotency-Key"}, "update": {"Idempotency-Key", "If-Match"},
           "retire": {"Idempotency-Key", "If-Match"}, "import": {"Idempotency-Key"},
           "add": {"Idempotency-Key"}, "calibration_retire": {"Idempotency-Key"},  # which nobody changes beside one
           "report": set()}  # the same samples again do no harm


def test_writes_need_a_key_and_say_what_they_take(tables, contract):
    by_id = {operation["id"]: operation for operation in tables["writes"] + tables["monitors"]
             if operation["id"] not in [one["id"] for one in told(tables)]}
    for route, path, method in routed_paths(tables):
        declared = contract.operations[method, path]
        assert route["writes"] == (route["operation_id"] in by_id) == ("security" in declared), path
        if not route["writes"]:
            continue
        assert all(declared["security"]), "a write without a key"
        own = {field["name"]: field for field in by_id.pop(route["operation_id"])["fields"]}
        parameters = [contract.resolve(one) for one in declared["parameters"]]
        headers = {one["name"] for one in parameters if one["in"] == "header"}
        assert headers == HEADERS.get(route["operation_id"], HEADERS[route["operation_id"].split("_")[1]])
        queries = {one["name"]: one for one in parameters if one["in"] == "query"}
        assert set(queries) == set(own), f"{method} {path}"
        for name, field in own.items():
            where = f"{method} {path} {name}"
            check_field(field, queries[name]["schema"], FLAT_TYPES, where)
            check_described(field, queries[name]["description"], where)
            assert queries[name].get("required", False) == field["required"], where
    assert not by_id, "writes without a route"


def test_entries_and_catalog_columns_agree(tables, contract):
    types = {"text": "string", "number": "number", "integer": "integer", "bool": "boolean", "date": "string",
             "choice": "string"}
    for noun, columns in tables["entries"].items():
        schema = contract.document["components"]["schemas"][f"{noun.capitalize()}Entry"]
        assert schema["additionalProperties"] is False
        more = ["config"] if noun == "model" else []  # which tells the columns
        assert list(schema["properties"]) == [column["name"] for column in columns] + more, noun
        for column in columns:
            member, where = schema["properties"][column["name"]], f"{noun} {column['name']}"
            kind = types[column["kind"]]
            assert member["type"] == (kind if column["required"] else [kind, "null"]), where
            if column["kind"] in ("number", "integer"):
                assert (member["minimum"], member["maximum"]) == (column["min"], column["max"]), where
            if column["kind"] == "choice":
                assert member["enum"] == column["names"] + ([] if column["required"] else [None]), where
            assert member["description"].endswith("."), where


def test_examples_match_their_schemas(contract):
    for name, schema in contract.document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            contract.check_schema({"$ref": f"#/components/schemas/{name}"}, example)
    assert any("examples" in schema for schema in contract.document["components"]["schemas"].values())


def test_every_component_is_used(contract):
    text = json.dumps(contract.document)
    for kind in ("schemas", "parameters", "responses", "headers"):
        for name in contract.document["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, f"{kind} {name}"


def test_pages_are_made_from_the_contract(make_pages):
    for name, content in make_pages.pages().items():
        made = (PROJECT / "service" / "api" / "pages" / name).read_text(encoding="utf-8")
        assert made == content, f"{name} is old: run tools/make_pages.py"


@pytest.mark.parametrize("path, file, media_type", [
    ("/openapi.yaml", "openapi.yaml", "application/yaml"),
    ("/openapi.json", "service/api/pages/openapi.json", "application/json"),
    ("/docs", "service/api/pages/docs.html", "text/html"),
    ("/docs.css", "service/api/pages/docs.css", "text/css"),
    ("/", "service/api/pages/docs.html", "text/html"),
])
def test_pages_are_handed_out(service, path, file, media_type):
    answer = service.call("GET", path)
    assert answer.status == 200
    assert answer.body == (PROJECT / file).read_bytes()
    assert answer.headers["Content-Type"].startswith(media_type)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "style-src 'self'" in policy and "unsafe" not in policy


def test_docs_page_stands_alone(service, tables):
    page = service.call("GET", "/docs").text
    assert not re.search(r"<script|<iframe|<img|\sstyle=|\son[a-z]+=|@import|url\(", page)
    assert re.findall(r'<link[^>]*href="([^"]*)"', page) == ["/docs.css"]
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'<a [^>]*href="([^"]*)"', page):
        assert target.removeprefix("#") in ids if target.startswith("#") else target.startswith("/"), target
    for _, field in all_fields(tables):
        assert re.search(rf"<code>([a-z_]+\.)?{field['name']}</code>", page), field["name"]


def test_docs_page_is_accessible(service):
    page = service.call("GET", "/docs").text
    assert '<html lang="en">' in page and "<title>" in page and 'name="viewport"' in page
    assert page.count("<h1>") == 1 and page.count("<main ") == 1 and 'href="#main"' in page
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:])), "a heading level is skipped"
    assert page.count("<table>") == page.count("<caption>")
    assert not re.search(r"<th>|<th (?!scope=)", page)
