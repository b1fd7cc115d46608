"""test_batch_plan.py asks for batches over HTTP: traces of many lines, broken ones, clients that stop, the article's
figures."""
import csv
import io
import json
import socket

import pytest

PATH = "/v1/batch-plan"
QUESTION = {"model": "llama-3.1-8b", "gpu": "l40s"}
LINES = {"Content-Type": "application/x-ndjson"}
MOST = 100_000


def line(number, **members):
    return json.dumps({"id": f"r{number}", "input_tokens": 16 + number * 7919 % 4000,
                       "output_tokens": 1 + number * 104729 % 500} | members) + "\n"


def trace(count):
    return "".join(line(number) for number in range(1, count + 1)).encode()


@pytest.fixture(scope="module")
def longest():
    return trace(MOST)


def ask(service, body, path=PATH, headers=None, **query):
    return service.call("POST", path, query={**QUESTION, **query}, body=body, headers=headers or LINES)


def plans(answer):
    return {(plan["batch_kind"], plan["order"]): plan for plan in answer["trace"]["plans"]}


def check_packed(answer):
    best, assigned = plans(answer)["paged", "best_fit_decreasing"], {}
    for row in answer["assignments"]:
        assigned[row["batch"]] = assigned.get(row["batch"], 0) + 1
    unplaced = assigned.pop(None, 0)
    assert unplaced == answer["trace"]["unplaceable_count"]
    assert sorted(assigned) == list(range(1, best["batch_count"] + 1))
    assert max(assigned.values()) == best["largest_batch_size"] <= answer["serving"]["max_sequences"]
    assert sum(assigned.values()) == answer["trace"]["placed_count"]


def test_hundred_thousand_requests(service, longest):
    answer = ask(service, longest).json
    assert answer["trace"]["request_count"] == answer["trace"]["placed_count"] == MOST
    assert answer["assignments"] is None and answer["request"]["workload"]["requests"]["count"] == MOST
    of = plans(answer)
    for kind in ("paged", "padded"):
        best, greedy = of[kind, "best_fit_decreasing"], of[kind, "greedy_ascending"]
        assert 0 < best["batch_count"] <= greedy["batch_count"]
        assert 0 < best["kv_utilization_ratio"] <= 1 and 0 <= best["padding_ratio"] < 1


def test_the_batch_of_each_of_them(service, longest):
    answer = ask(service, longest, assignments="true").json
    assert [row["line"] for row in answer["assignments"]] == list(range(1, MOST + 1))
    assert answer["assignments"][57380]["id"] == "r57381"
    check_packed(answer)
    rows = list(csv.DictReader(io.StringIO(ask(service, longest, PATH + ".csv", assignments="true").text)))
    assert [(row["line"], row["id"], row["batch"]) for row in rows] == [
        (str(row["line"]), row["id"], str(row["batch"])) for row in answer["assignments"]]


def test_one_line_too_many(service, longest):
    answer = ask(service, longest + line(MOST + 1).encode())
    assert answer.status == 400
    assert answer.json["errors"] == [{"field": "trace", "code": "too_complex",
                                      "detail": "100001 requests are more than 100000: split the trace"}]


def test_a_broken_line_is_named(service):
    lines = trace(60000).splitlines(keepends=True)
    lines[57380] = b'{"id":"r57381","input_tokens":\n'
    lines[59999] = line(60000, input_tokens=-4).encode()
    answer = ask(service, b"".join(lines))
    assert answer.status == 400
    first, second = answer.json["errors"]
    assert first["field"] == "line 57381" and first["code"] == "malformed_json"
    assert second["field"] == "line 60000.input_tokens" and second["detail"].startswith("-4 is out of range: give 1 to")


def test_every_line_is_bad(service):
    answer = ask(service, b"nonsense\n" * 1000)
    assert answer.status == 400
    assert [error["field"] for error in answer.json["errors"][:32]] == [f"line {i}" for i in range(1, 33)]


@pytest.mark.parametrize("body, field, words", [
    (b"", "trace", "is empty"),
    (b"\n\n", "trace", "is empty"),
    (b'{"input_tokens": 5}\n{"input_tok', "line 2", "the trace ends here"),
    (b'{"input_tokens": 0}', "line 1.input_tokens", "0 is out of range"),
])
def test_bad_traces(service, body, field, words):
    answer = ask(service, body)
    assert answer.status in (400, 422)
    assert answer.json["errors"][0]["field"] == field and words in answer.json["errors"][0]["detail"]


def test_nothing_is_lost_that_fits_no_batch(service):
    lines = [line(1), line(2, input_tokens=9000), line(3), line(4, input_tokens=100000000)]
    answer = ask(service, "".join(lines).encode(), assignments="true").json
    assert answer["trace"]["unplaceable"] == [
        {"line": 2, "id": "r2", "tokens": 9000 + json.loads(lines[1])["output_tokens"], "reason": "context_too_long"},
        {"line": 4, "id": "r4", "tokens": 100000000 + json.loads(lines[3])["output_tokens"],
         "reason": "context_too_long"}]
    assert [row["batch"] is None for row in answer["assignments"]] == [False, True, False, True]
    check_packed(answer)


def told_of_the_longest(answer):
    return any("the longest request has 9001" in text for text in answer["assumptions"])


def test_a_length_that_nobody_chose_is_told(service):
    body = line(1, input_tokens=9000, output_tokens=1).encode()
    assert told_of_the_longest(ask(service, body).json)
    assert not told_of_the_longest(ask(service, body, max_model_len_tokens=8192).json)
    longer = ask(service, body, max_model_len_tokens=16384).json
    assert longer["trace"]["placed_count"] == 1 and not told_of_the_longest(longer)


def test_a_trace_in_chunks_is_the_same_trace(service):
    body = trace(5000)
    pieces = (body[at:at + 1000] for at in range(0, len(body), 1000))
    assert ask(service, pieces).body == ask(service, body).body


def test_client_that_stops_in_the_middle_of_a_trace(service):
    body = trace(1000)
    head = (f"POST {PATH}?model=7B&gpu=l40s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    for _ in range(20):
        with socket.create_connection(service.address, timeout=30) as connection:
            connection.sendall(head + body[:len(body) // 2])
    assert service.call("GET", "/livez").status == 200
    assert ask(service, body).status == 200


def test_a_question_and_a_trace_are_told_apart(service):
    body = b'{"input_tokens": 100, "output_tokens": 10}'
    as_json = ask(service, body, headers={"Content-Type": "application/json"})
    assert as_json.status == 400 and {error["code"] for error in as_json.json["errors"]} == {"unknown_field"}
    assert ask(service, body).status == 200
    assert ask(service, body, headers={"Content-Type": "application/jsonl"}).status == 200
    assert ask(service, body, headers={"Content-Type": "text/csv"}).status == 415
    large = json.dumps({**QUESTION, "workload": {"requests": []}}).encode() + b" " * (192 * 1024)
    assert service.call("POST", PATH, body=large, headers={"Content-Type": "application/json"}).status == 413
    twice = ask(service, body, requests="5:5")
    assert twice.status == 422 and twice.json["errors"][0]["field"] == "workload.requests"


def test_what_was_asked_by_json_is_not_the_answer_to_a_trace(service):
    """The answer cache must not take the same bytes of another type for a repeat."""
    body = json.dumps({**QUESTION, "workload": {"input_tokens": 777}}).encode()
    assert service.call("POST", PATH, body=body, headers={"Content-Type": "application/json"}).status == 200
    assert service.call("POST", PATH, body=body, headers=LINES).status == 400


def test_assignments_that_are_too_long_for_an_answer(service):
    """Ids of 40 bytes always fit; only if each byte takes two in JSON they may not."""
    def asked(character):
        lines = (json.dumps({"id": character * 34 + f"{number:06d}", "input_tokens": 5, "output_tokens": 5}) + "\n"
                 for number in range(MOST))
        return ask(service, "".join(lines).encode(), assignments="true")
    assert asked("x").status == 200
    answer = asked('"')
    assert answer.status == 400 and answer.json["errors"][0]["field"] == "assignments"
    assert "an answer of at most 8388608" in answer.json["errors"][0]["detail"]


def test_limits_of_latency_bound_the_batch(service):
    free = service.call("GET", PATH, query=QUESTION).json
    bound = service.call("GET", PATH, query={**QUESTION, "tpot_ms": 50}).json
    assert free["batch"]["best_batch_size"] > bound["batch"]["best_batch_size"] > 1
    assert bound["batch"]["best_bound"] == "latency" and free["batch"]["best_bound"] == "kv_memory"
    never = service.call("GET", PATH, query={**QUESTION, "tpot_ms": 0.01}).json
    assert never["batch"]["best_batch_size"] is None
    sizes = [point["batch_size"] for point in free["curve"]]
    assert sizes == sorted(set(sizes)) and len(sizes) <= 32


def test_what_does_not_fit_says_what_would(service):
    answer = service.call("GET", PATH, query={"model": "llama-3.1-70b", "gpu": "l40s", "tp": 1})
    assert answer.status == 422 and "smallest" in answer.json["errors"][0]["detail"]
    assert service.call("GET", PATH, query={"model": "llama-3.1-8b"}).json["errors"][0]["field"] == "gpu"
    none = service.call("GET", PATH, query={"weights_gb": 10000, "gpu": "l4"})
    assert none.status == 422 and "no layout of up to 64 l4 holds" in none.json["errors"][0]["detail"]
    layers = service.call("GET", PATH, query={**QUESTION, "engine": "llama.cpp", "gpu_layers": 10})
    assert layers.status == 422 and layers.json["errors"][0]["field"] == "serving.gpu_layers"
    width = service.call("GET", PATH, query={**QUESTION, "hidden_size": 8192})
    assert width.status == 422 and width.json["errors"][0]["field"] == "hidden_size"


@pytest.mark.parametrize("weights, gpu, tokens, size", [(14, "h100-sxm", 2048, 2252), (130, "h100-sxm", 2048, 1),
                                                        ("7B", "rtx-4090", 4096, 140)])
def test_the_article(service, weights, gpu, tokens, size):
    model = {"weights_gb": weights} if isinstance(weights, int) else weights
    answer = service.call("POST", PATH, json={"model": model, "gpu": gpu, "estimator": "article",
                                              "workload": {"input_tokens": tokens}}).json
    assert answer["batch"]["best_batch_size"] == size and answer["trace"] is None


def test_the_articles_batches(service):
    lengths = [60000, 8192, 512, 8192, 30000, 100, 60000, 4096, 45000, 30000]
    body = "".join(json.dumps({"sequence_length": length}) + "\n" for length in lengths).encode()
    answer = service.call("POST", PATH, query={"model": "7B", "gpu": "rtx-4090", "estimator": "article",
                                               "assignments": "true"}, body=body, headers=LINES).json
    assert [row["batch"] for row in answer["assignments"]] == [2, 1, 1, 1, 1, 1, 3, 1, 1, 1]
    assert answer["trace"]["plans"][0]["batch_count"] == 3
