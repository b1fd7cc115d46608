"""test_database.py owns the answers that need a database, as the contract declares them; what they say is tested in
tests/db."""
import os

import pytest

from service import Service

HISTORY = "/v1/offers/history"
QUESTION = {"gpus": "l40s", "purchase": "on_demand", "from": "2026-10-01", "to": "2026-11-30"}


@pytest.fixture(scope="module")
def stored(cluster, program, contract):
    """A service with a database that has the built-in catalog."""
    running = Service(program, contract, env={**os.environ, "DATABASE_URL": cluster.url(cluster.database(program))})
    yield running
    running.stop()


@pytest.mark.parametrize("group", ["gpu", "offer"])
@pytest.mark.parametrize("suffix", ["", ".json", ".csv", ".xml", ".txt"])
def test_history_in_every_format(stored, group, suffix):
    field = {"field": "points[0].gpu"} if suffix == ".txt" else {}
    answer = stored.call("GET", HISTORY + suffix, query={**QUESTION, "group": group, **field})
    assert answer.status == 200 and "l40s" in answer.text
    again = stored.call("GET", HISTORY + suffix, query={**QUESTION, "group": group, **field},
                        headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304


@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_history_refuses(stored, suffix):
    assert stored.call("GET", HISTORY + suffix, query={"gpu_id": "l40s"}).status == 400
    refused = stored.call("GET", HISTORY + suffix, query={"gpus": "l40ss", "step": "year"})
    assert refused.status == 422 and refused.json["errors"][0]["field"] == "step"


@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_history_needs_a_database(service, suffix):
    refused = service.call("GET", HISTORY + suffix, query=QUESTION)
    assert refused.status == 503 and refused.json["errors"][0]["code"] == "database_required"
    assert "DATABASE_URL" in refused.json["detail"]
    assert service.call("GET", HISTORY + suffix, query={"step": "year"}).status == 422
    text = service.call("GET", HISTORY + suffix, query={**QUESTION, "errors": "text"}, check=False)
    assert text.text.startswith("#ERR database_required: ")


def test_an_earlier_day_needs_none(service, stored):
    query = {"as_of": "2026-10-15", "gpus": "l40s"}
    offers = [one.call("GET", "/v1/offers", query=query).json["offers"] for one in (service, stored)]
    assert offers[0] and offers[0] == offers[1]
