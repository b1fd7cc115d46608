"""test_tls.py owns the tests over TLS: what verify-full accepts and refuses, and that the password is told by nobody."""
import shutil

import pytest

from certificates import make_authority, make_certificate
from live import HOUR_MS, RAISE_PRICES, ask, await_offers, await_version, number, ready
from postgres import Cluster, free_port
from prices import write
from waiting import await_true

HOST = "db.example.org"  # what the certificate is for; reached at 127.0.0.1 by hostaddr
PASSWORD = "a-secret-word"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    make_authority(folder, "authority")
    make_authority(folder, "stranger")
    make_certificate(folder, "server", "authority", HOST)
    return folder


@pytest.fixture(scope="module")
def cluster(certificates):
    """Takes TCP only, and that only with TLS and a password."""
    own = Cluster(port=free_port(), settings="listen_addresses = '127.0.0.1'\n")
    for name in ("server.pem", "server.key"):
        shutil.copy(certificates / name, f"{own.data}/{name}")
        shutil.copymode(f"{own.data}/postgresql.conf", f"{own.data}/{name}")  # 0600: nobody else reads the key
        shutil.chown(f"{own.data}/{name}", "postgres")
    with open(f"{own.data}/postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write("ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n")
    with open(f"{own.data}/pg_hba.conf", "w", encoding="utf-8") as rules:
        rules.write("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    own.sql("postgres", f"alter role postgres password '{PASSWORD}'")
    own.stop()
    own.start()
    yield own
    own.close()


@pytest.fixture
def url(cluster, database, certificates):
    """url(host=…, authority=…, …): of the database, as somebody far away would have it."""

    def make(host=HOST, authority="authority", mode="verify-full", password=PASSWORD):
        return (f"postgresql://postgres:{password}@{host}:{cluster.port}/{database}?hostaddr=127.0.0.1&sslmode={mode}"
                f"&sslrootcert={certificates}/{authority}.pem")

    return make


def test_verified(cluster, database, url, gpusize, serve, tmp_path):
    service = serve(database, "--database-listen-url", url(), "--poll-interval-ms", HOUR_MS, url=url())
    sessions = ("select count(*) from pg_stat_ssl s join pg_stat_activity a using (pid) where s.ssl"
                " and a.datname = current_database() and a.application_name = 'gpusize serve'")
    await_true(lambda: cluster.sql(database, sessions) == "2")
    before = ask(service)
    assert "1 new" in gpusize(url(), "import", "csv", write(tmp_path / "a.csv", {}))
    cluster.sql(database, RAISE_PRICES)
    await_version(service, number(before["catalog_version"]) + 2)
    assert "the database has schema" in gpusize(url(), "migrate")


def test_a_large_catalog_comes_whole(cluster, database, url, gpusize, serve, tmp_path):
    """Far more than one record of TLS: what it holds back is asked for."""
    count = 20000
    file = write(tmp_path / "a.csv", *({"instance_type": f"n{n}", "source": 1000 * "x"} for n in range(count)))
    before = int(cluster.sql(database, "select count(*) from gpusize.offer"))
    assert f"{count} new" in gpusize(url(), "import", "csv", file)
    await_offers(serve(database, url=url()), before + count)


@pytest.mark.parametrize("wrong,said", [
    ({"authority": "stranger"}, "certificate verify failed"),
    ({"authority": "missing"}, 'missing.pem" does not exist'),
    ({"host": "other.example.org"}, f'server certificate for "{HOST}" does not match host name "other.example.org"'),
    ({"mode": "disable"}, "no pg_hba.conf entry"),
    ({"password": "a-wrong-word"}, "password authentication failed"),
])
def test_refused(database, url, gpusize, serve, tmp_path, wrong, said):
    bad, secrets = url(**wrong), (PASSWORD, "a-wrong-word")
    service = serve(database, "--database-listen-url", bad, url=bad)
    answer = service.call("GET", "/readyz")
    heard = [answer.text.replace('\\"', '"'), "".join(service.log)]
    heard += [gpusize(bad, *arguments, status=3)
              for arguments in (["migrate"], ["migrate", "--check"], ["import", "csv", write(tmp_path / "a.csv", {})])]
    assert answer.status == 503 and ready(service) == 503
    for text in heard:
        assert said in text
        assert not any(secret in text for secret in secrets)
