#!/usr/bin/python3
"""make_pages.py owns what is made from openapi.yaml: its JSON form and the documentation page, both in
service/api/pages. Run it after a change of the contract; tests/api/test_contract.py says when that was forgotten."""
import html
import json
import re
from pathlib import Path
from urllib.parse import quote

import yaml

PROJECT = Path(__file__).resolve().parent.parent
PAGES = PROJECT / "service" / "api" / "pages"


def text(value):
    """Escaped, with `code`."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(str(value), quote=False))


def resolve(document, node):
    while "$ref" in node:
        target = document
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


def type_name(document, schema):
    """'number 1…100', 'list of text', 'fp8 | bf16'."""
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    if "const" in schema:
        return json.dumps(schema["const"])
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(type_name(document, one) for one in schema[choice]))
    if "enum" in schema:
        return " | ".join("null" if one is None else str(one) for one in schema["enum"])
    kinds = schema.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    name = " or ".join({"string": "text", "array": "list", "boolean": "true or false"}.get(k, k) for k in kinds)
    if "array" in kinds:
        name += " of " + type_name(document, schema["items"])
    if "format" in schema:
        name = name.replace("text", schema["format"])
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        name += f", {low:g} to {high:g}"
    elif low is not None:
        name += f", at least {low:g}"
    return name


def rows_of(document, schema, prefix=""):
    """(path, type, default, description) of every field, groups opened."""
    for name, member in schema.get("properties", {}).items():
        path = prefix + name
        if member.get("type") == "object" and "properties" in member:
            yield from rows_of(document, member, path + ".")
        elif member.get("type") == "array" and "properties" in member["items"]:
            yield path, "list", "", member.get("description", "")
            yield from rows_of(document, member["items"], path + "[].")
        else:
            described = member.get("description") or resolve(document, member).get("description", "")
            yield path, type_name(document, member), member.get("default", ""), described


def table(document, caption, schema):
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Field", "Value", "Default", "Meaning"))
    lines = [f'<div class="wide" role="region" tabindex="0" aria-label="{html.escape(caption)}"><table>'
             f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>"]
    for path, kind, default, description in rows_of(document, schema):
        lines.append(f'<tr><th scope="row"><code>{text(path)}</code></th><td>{text(kind)}</td>'
                     f"<td>{text(default)}</td><td>{text(description)}</td></tr>")
    return "\n".join(lines) + "</tbody></table></div>"


def flat(example):
    """The query string that asks what the JSON asks."""
    pairs = []
    for name, value in example.items():
        members = value.items() if isinstance(value, dict) else [(name, value)]
        pairs += [f"{key}={quote(str(one), safe='/')}" for key, one in members]
    return "&".join(pairs)


def operations(document, tag):
    for path, item in document["paths"].items():
        for method in ("post", "get"):
            operation = item.get(method)
            if operation and tag in operation["tags"] and "{format}" not in path:
                yield path, method, operation, item


def answer_schemas(document, operation):
    schema = resolve(document, operation["responses"]["200"])["content"]["application/json"]["schema"]
    choices = schema.get("oneOf") or schema.get("anyOf") or [schema]
    return [one["$ref"].rsplit("/", 1)[1] for one in choices]


def question(document, server, path, operation):
    schema = resolve(document, operation["requestBody"]["content"]["application/json"]["schema"])
    name = operation["operationId"]
    answers = " or ".join(f'<a href="#{one}">{one}</a>' for one in answer_schemas(document, operation))
    parts = [f'<section id="{name}"><h2>{text(operation["summary"])}</h2><p>{text(operation["description"])}</p>',
             f'<p><span class="method">POST</span> <code>{path}</code> &nbsp; <span class="method">GET</span> '
             f"<code>{path}?…</code> &nbsp; answers {answers}</p>"]
    example = operation.get("x-example") or schema["examples"][0]
    body = json.dumps(example, ensure_ascii=False, indent=2)
    parts.append("<h3>Example</h3>")
    parts.append(f'<pre tabindex="0">curl {server}{path} --json \'{text(body)}\'\n\ncurl \'{server}{path}?'
                 f"{text(flat(example))}'</pre>")
    parts.append("<h3>Fields</h3>" + table(document, f"Fields of {path}; the flat form has the last names only", schema))
    return "\n".join(parts) + "</section>"


def listing(document, server, path, operation):
    name = operation["operationId"]
    answers = " or ".join(f'<a href="#{one}">{one}</a>' for one in answer_schemas(document, operation))
    parameters = [resolve(document, one) for one in operation["parameters"]]
    schema = {"properties": {one["name"]: {**one["schema"], "description": one["description"]} for one in parameters}}
    return (f'<section id="{name}"><h2>{text(operation["summary"])}</h2><p>{text(operation["description"])}</p>'
            f'<p><span class="method">GET</span> <code>{path}</code> &nbsp; answers {answers}</p>'
            + table(document, f"Parameters of {path}", schema) + "</section>")


def prose(description):
    parts = []
    for block in description.split("\n\n"):
        if block.startswith("- "):
            items = re.split(r"\n- |^- ", block)[1:]
            parts.append("<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>")
        else:
            parts.append(f"<p>{text(block)}</p>")
    return "\n".join(parts)


def form_section(document):
    parameters = document["components"]["parameters"]
    schema = {"properties": {one["name"]: {**one["schema"], "description": one["description"]}
                             for key, one in parameters.items() if key.startswith("form_")}}
    return ('<section id="formats"><h2>Formats</h2><p>Put the suffix behind the path: '
            "<code>/v1/recommend.csv</code>, <code>/v1/gpus.xml</code>. One cell of a spreadsheet:</p>"
            '<pre tabindex="0">=VALUE(WEBSERVICE("http://127.0.0.1:8080/v1/recommend.txt?model=70B&amp;rps=5'
            "&amp;field=recommended.gpu_count\"))</pre>" + table(document, "What every question takes", schema)
            + "</section>")


def docs_page(document):
    server = document["servers"][0]["url"]
    questions = [(p, o) for p, m, o, _ in operations(document, "Questions") if m == "post" and p.startswith("/v1/")]
    lists = [(p, o) for tag in ("Answers", "Catalog") for p, m, o, _ in operations(document, tag)]
    others = [(p, o) for tag in ("Operation", "Documentation") for p, m, o, _ in operations(document, tag)]
    links = [(o["operationId"], o["summary"]) for _, o in questions + lists]
    links += [("formats", "Formats"), ("answers", "Answers"), ("others", "Other paths")]
    shown = [name for name, schema in document["components"]["schemas"].items() if not name.endswith("Request")]
    parts = ['<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
             '<meta name="viewport" content="width=device-width, initial-scale=1">',
             f'<title>{text(document["info"]["title"])} API</title><link rel="stylesheet" href="/docs.css"></head><body>',
             '<a class="skip" href="#main">Skip to the content</a><header>',
             f'<h1>{text(document["info"]["title"])}</h1><p>{text(document["info"]["summary"])}</p>',
             '<nav aria-label="Contents"><ul>',
             *(f'<li><a href="#{name}">{text(title)}</a></li>' for name, title in links),
             '<li><a href="/openapi.yaml">openapi.yaml</a></li><li><a href="/openapi.json">openapi.json</a></li>',
             '</ul></nav></header><main id="main">', prose(document["info"]["description"])]
    parts += [question(document, server, path, operation) for path, operation in questions]
    parts += [listing(document, server, path, operation) for path, operation in lists]
    parts.append(form_section(document))
    parts.append('<section id="answers"><h2>Answers</h2>')
    for name in shown:
        schema = document["components"]["schemas"][name]
        parts.append(f'<h3 id="{name}">{name}</h3>')
        if "properties" in schema:
            parts.append(table(document, schema["description"], schema))
        else:
            parts.append(f"<p>{text(schema['description'])}</p><ul>"
                         + "".join(f"<li>{text(type_name(document, one))}: {text(one['description'])}</li>"
                                   for one in schema["oneOf"]) + "</ul>")
    parts.append('</section><section id="others"><h2>Other paths</h2><ul>')
    parts += [f'<li><a href="{path}"><code>{path}</code></a> {text(operation["description"])}</li>'
              for path, operation in others]
    parts.append("</ul></section></main></body></html>\n")
    return "\n".join(parts)


def pages():
    """File name -> content."""
    document = yaml.safe_load((PROJECT / "openapi.yaml").read_text(encoding="utf-8"))
    return {
        "openapi.json": json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n",
        "docs.html": docs_page(document),
    }


if __name__ == "__main__":
    for file_name, content in pages().items():
        (PAGES / file_name).write_text(content, encoding="utf-8")
