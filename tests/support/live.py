"""live.py owns what tests ask a service with a database about its catalog, and the database about its sessions."""
from waiting import await_true

LLAMA = {"model": "llama-3.1-8b", "requests_per_second": 5}
RAISE_PRICES = "update gpusize.offer_price set usd_per_hour = usd_per_hour * 2 where to_version is null"
HOUR_MS = "3600000"
QUICKLY = ("--poll-interval-ms", "20")
CATALOG_LOCK = "begin; select pg_advisory_xact_lock(7301001, 1)"
MIGRATION_LOCK = "begin; select pg_advisory_xact_lock(7301001, 0)"
LISTENING = "select count(*) from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
CUT = LISTENING.replace("count(*)", "count(pg_terminate_backend(pid, 60000))")


def ready(service):
    answer = service.call("GET", "/readyz")
    return answer.json["status"] if answer.status == 200 else answer.status


def await_ready(service, state):
    await_true(lambda: ready(service) == state)


def ask(service, **more):
    answer = service.call("GET", "/recommend", query={**LLAMA, **more})
    assert answer.status == 200, answer.text
    return answer.json


def cost(answer):
    return answer["recommended"]["cost"]["cost_per_hour_usd"]


def metric(service, name):
    lines = service.call("GET", "/metrics").text.splitlines()
    return [float(line.split()[1]) for line in lines if line.startswith(name + " ")]


def number(version):
    """The second half of a version, which tells the order of changes."""
    return int(version.rsplit(":", 1)[1])


def newest(sql):
    """The number of the database's version: after a crash some are left out."""
    return int(sql("select max(number) from gpusize.catalog_version"))


def await_version(service, wanted):
    """Until it answers with that number; the answer. Before its first catalog it has none."""
    def shows():
        answer = service.call("GET", "/readyz")
        return answer.status == 200 and number(answer.json["catalog_version"]) == wanted

    await_true(shows)
    return ask(service)


def await_offers(service, count):
    """Until its log says that a catalog with so many offers was loaded."""
    await_true(lambda: f" {count} offers" in "".join(service.log))


def await_stored(service, id):
    """Until that answer is stored; what is stored."""
    path = f"/v1/recommendations/{id}"
    await_true(lambda: service.call("GET", path).status != 404)
    return service.call("GET", path)


def sessions_of(name, when="true"):
    return (f"select count(*) from pg_stat_activity where application_name = 'gpusize {name}'"
            f" and datname = current_database() and {when}")


def await_session(cluster, database, name, when):
    await_true(lambda: cluster.sql(database, sessions_of(name, when)) != "0")


def kill_sessions(cluster, database, name):
    cluster.sql(database, sessions_of(name).replace("count(*)", "count(pg_terminate_backend(pid, 60000))"))
