"""test_freshness.py owns the tests of how old prices may be: told by every answer and by the metrics, limited by a
setting that a question may override."""
import datetime
import re

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
QUESTION = {"model": "llama-3.1-8b", "rps": 1, "gpus": "l40s"}


def day(age):
    return (TODAY - datetime.timedelta(days=age)).isoformat()


def with_two_prices(cluster, database):
    """All prices are 100 days old but one, which is dear."""
    cluster.sql(database, f"update gpusize.offer_price set as_of = '{day(100)}' where to_version is null;"
                          f"update gpusize.offer_price p set as_of = '{day(3)}', usd_per_hour = 50 where p.live_offer_id ="
                          " (select min(id) from gpusize.offer where live_gpu_id = 'l40s' and purchase = 'on_demand')")


def test_a_limit_for_all_questions(cluster, database, serve):
    with_two_prices(cluster, database)
    plain, limited = serve(database), serve(database, "--max-price-age-days", "30")
    anything = plain.call("GET", "/recommend", query=QUESTION).json
    assert anything["recommended"]["price"]["age_days"] == 100
    assert anything["request"]["constraints"]["max_price_age_days"] is None
    fresh = limited.call("GET", "/recommend", query=QUESTION).json
    assert fresh["recommended"]["price"]["age_days"] == 3 and fresh["id"] != anything["id"]
    assert fresh["request"]["constraints"]["max_price_age_days"] == 30
    assert {option["excluded_by"] for option in fresh["alternatives"]} == {"price_age"}
    own = limited.call("GET", "/recommend", query={**QUESTION, "max_price_age_days": 200}).json
    assert own["recommended"]["price"]["age_days"] == 100
    assert plain.call("GET", "/recommend", query={**QUESTION, "max_price_age_days": 30}).json == fresh
    listed = [service.call("GET", "/v1/offers", query={"gpus": "l40s"}).json["total_count"] for service in (plain, limited)]
    assert listed[0] > listed[1] == 1
    article = {"weights_gb": 140, "estimator": "article", "throughput_tokens_per_second": 100}
    assert limited.call("GET", "/recommend", query=article).status == 200


def test_replay_knows_the_limit(cluster, database, serve, gpusize):
    with_two_prices(cluster, database)
    limited = serve(database, "--max-price-age-days", "30")
    answer = limited.call("GET", "/recommend", query={**QUESTION, "store": "true"}).json
    limited.stop()  # stores what it has accepted
    assert "the same" in gpusize(cluster.url(database), "replay", answer["id"])


def test_metrics_tell_the_age_of_each_providers_prices(cluster, database, serve):
    with_two_prices(cluster, database)
    text = serve(database).call("GET", "/metrics").text
    ages = dict(re.findall(r'gpusize_provider_price_age_days\{provider="([^"]+)"\} (-?\d+)', text))
    offers = dict(re.findall(r'gpusize_provider_offers\{provider="([^"]+)"\} (\d+)', text))
    expected = cluster.sql(database, "select provider || ' ' || count(*) from gpusize.offer where to_version is null"
                                     " group by provider")
    assert offers == dict(line.split() for line in expected.splitlines())
    assert ages.keys() == offers.keys() and sorted(set(ages.values())) == ["100", "3"]
