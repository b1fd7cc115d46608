"""test_stored.py owns the questions about stored answers, as far as the contract tells of them; what becomes of answers
in the database is tested in tests/db."""
import pytest

from live import await_stored

QUESTION = {"model": "llama-3.1-8b", "rps": "5"}
OPERATIONS = {"recommend": QUESTION, "cost": QUESTION, "memory": {"model": "llama-3.1-8b", "gpu": "l40s"},
              "throughput": {"model": "llama-3.1-8b", "gpu": "h100-sxm"}}


@pytest.fixture(scope="module")
def database(cluster, program):
    return cluster.database(program)


@pytest.fixture
def storing(database, serve):
    return serve(database)


def test_every_question_is_stored_on_demand(storing):
    for name, question in OPERATIONS.items():
        answer = storing.call("GET", f"/v1/{name}", query={**question, "store": "true"})
        stored = await_stored(storing, answer.json["id"])
        assert stored.status == 200 and stored.body == answer.body
        assert stored.headers["Content-Type"].startswith("application/json")
        assert stored.headers["ETag"] == answer.headers["ETag"]
        again = storing.call("GET", f"/v1/recommendations/{answer.json['id']}",
                             headers={"If-None-Match": stored.headers["ETag"]})
        assert again.status == 304


@pytest.mark.parametrize("path, query, status, code", [
    ("/v1/recommendations/" + "0" * 32, None, 404, "not_stored"),
    ("/v1/recommendations/" + "0" * 31, None, 422, "invalid_value"),
    ("/v1/recommendations/" + "0" * 33, None, 422, "invalid_value"),
    ("/v1/recommendations/" + "0" * 31 + "A", None, 422, "invalid_value"),
    ("/v1/recommendations/" + "0" * 31 + "%e2%82%ac", None, 422, "invalid_value"),
    ("/v1/recommendations/" + "0" * 32 + ".csv", None, 422, "invalid_value"),
    ("/v1/recommendations/" + "0" * 32, {"format": "csv"}, 400, "unknown_field"),
    ("/v1/recommendations/", None, 404, "not_found"),
    ("/v1/recommendations/0/0", None, 404, "not_found"),
    ("/v1/recommend", {**QUESTION, "store": "yes"}, 422, "invalid_value"),
    ("/v1/recommend", {**QUESTION, "store": ""}, 422, "invalid_value"),
    ("/v1/gpus", {"store": "true"}, 400, "unknown_field"),
])
def test_refusals(storing, path, query, status, code):
    answer = storing.call("GET", path, query=query)
    assert (answer.status, answer.json["errors"][0]["code"]) == (status, code), answer.text


def test_methods_of_a_stored_answer(storing):
    path = "/v1/recommendations/" + "0" * 32
    assert storing.call("POST", path, json={}).status == 405
    assert storing.call("OPTIONS", path).headers["Allow"] == "GET, HEAD, OPTIONS"
    told = storing.call("GET", path, query={"errors": "text"})
    assert (told.status, told.text) == (200, f"#ERR not_stored: no answer {'0' * 32} is stored")


def test_without_a_database(service):
    for path, query in (("/v1/recommend", {**QUESTION, "store": "true"}), ("/v1/recommendations/" + "0" * 32, None)):
        answer = service.call("GET", path, query=query)
        assert (answer.status, answer.json["errors"][0]["code"]) == (503, "database_required")
    assert service.call("GET", "/v1/recommend", query={**QUESTION, "store": "false"}).status == 200


def test_where_nothing_is_stored(database, serve):
    service = serve(database, "--record-max-mib", "0")
    answer = service.call("GET", "/v1/recommend", query={**QUESTION, "store": "true"})
    assert (answer.status, answer.json["errors"][0]["code"]) == (503, "database_required")
    assert "record_max_mib" in answer.json["errors"][0]["detail"]
    assert "recommendations_stored" not in service.call("GET", "/metrics").text
