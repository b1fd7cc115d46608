"""contract.py owns the comparison of real answers with openapi.yaml: each answer must be declared, by operation and
status, with its media type, headers and schema; and in the end each declaration must have been seen."""
import json
import re
from pathlib import Path

import jsonschema
import yaml

METHODS = ("get", "post", "put", "patch", "delete")


def no_duplicates(pairs):
    members = dict(pairs)
    assert len(members) == len(pairs), f"duplicate member among {[name for name, _ in pairs]}"
    return members


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def parse_json(text):
    """Strictly: no duplicate members, no NaN."""
    return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant)


class Contract:
    def __init__(self, path):
        self.document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        self.resolver = jsonschema.RefResolver("", self.document)
        self.validators = {}
        self.operations = {}  # (method, path) -> operation
        self.seen = set()  # (operationId, declared status)
        for path_name, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    self.operations[method, path_name] = item[method]

    def resolve(self, node):
        while "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def find_operation(self, method, path):
        """The operation that answers, HEAD as GET; None if there is none."""
        method = "get" if method == "HEAD" else method.lower()
        if (method, path) in self.operations:
            return self.operations[method, path]
        for (candidate, template), operation in self.operations.items():
            pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
            if candidate == method and re.fullmatch(pattern, path):
                return operation
        return None

    def check_schema(self, schema, value):
        key = id(schema)
        if key not in self.validators:
            self.validators[key] = jsonschema.Draft202012Validator(
                schema, resolver=self.resolver, format_checker=jsonschema.FormatChecker()
            )
        error = jsonschema.exceptions.best_match(self.validators[key].iter_errors(value))
        if error:
            place = "/".join(map(str, error.absolute_path))
            raise AssertionError(f"answer does not match its schema at '{place}': {error.message}")

    def check(self, method, path, answer):
        """Asserts that the answer is one that the contract declares."""
        operation = self.find_operation(method, path)
        if operation is None:
            if method != "OPTIONS":
                assert answer.status >= 400, f"{method} {path} answered {answer.status} but is not in openapi.yaml"
                self.check_problem(answer)
            return
        name = operation["operationId"]
        responses = {str(status): response for status, response in operation["responses"].items()}
        declared = str(answer.status)
        if declared not in responses:
            declared = "default"
        assert declared in responses, f"{name}: status {answer.status} is not declared: {answer.text[:300]}"
        self.seen.add((name, declared))
        self.check_response(name, self.resolve(responses[declared]), method, answer)

    def check_response(self, name, response, method, answer):
        for header, declaration in response.get("headers", {}).items():
            required = self.resolve(declaration).get("required", False)
            assert not required or answer.headers.get(header), f"{name}: {answer.status} without {header}"
        content = response.get("content")
        if not content:
            assert not answer.body, f"{name}: {answer.status} should have no body"
            return
        media_type = (answer.headers.get("Content-Type") or "").split(";")[0].strip()
        assert media_type in content, f"{name}: {answer.status} as '{media_type}', declared {list(content)}"
        if method != "HEAD" and media_type.endswith("json") and "schema" in content[media_type]:
            self.check_schema(content[media_type]["schema"], answer.json)

    def check_problem(self, answer):
        problem = self.document["components"]["schemas"].get("Problem")
        if answer.body and problem:
            assert answer.headers.get("Content-Type") == "application/problem+json"
            self.check_schema(problem, answer.json)

    def never_seen(self):
        """Declared answers that no call has had. `default` stands for what cannot be provoked from outside."""
        return sorted(
            f"{operation['operationId']} {status}"
            for operation in self.operations.values()
            for status in map(str, operation["responses"])
            if status != "default" and (operation["operationId"], status) not in self.seen
        )
