"""test_writes.py owns the tests of changes by HTTP, on a real database: what each answers, that it is done once and
whole, who may do it, and that it is told in the audit log."""
import json
import threading

import pytest

from configs import LLAMA
from live import QUICKLY, await_session, await_version, newest, number
from postgres import Session
from waiting import await_true

GPU = {"id": "x100", "name": "X100", "family": "x100", "vendor": "nvidia", "architecture": "Hopper",
       "memory_nominal_gb": 96, "memory_bandwidth_gb_per_s": 4000, "interconnect": "NVLink", "link_domain_gpus": 8,
       "node_gpus": 8, "peak_fp16_tflops": 1000, "source": 'our "lab", room 2', "as_of": "2026-11-01"}
MODEL = {"id": "acme/tiny", "family": "tiny", "architecture": "LlamaForCausalLM", "parameters": 1e9,
         "active_parameters": 1e9, "layers": 16, "hidden_size": 2048, "attention_heads": 32, "kv_heads": 8,
         "head_dim": 64, "intermediate_size": 8192, "vocabulary_size": 128256, "tied_embeddings": True,
         "max_position_tokens": 8192, "attention_kind": "gqa", "native_dtype": "bf16", "source": "our own",
         "as_of": "2026-11-01"}
OFFER = {"provider": "acme", "instance_type": "n8", "region": "oslo", "gpu_id": "h100-sxm", "gpu_count": 8,
         "purchase": "on_demand", "usd_per_hour": 20, "price_basis": "instance_total", "source": "contract 7",
         "as_of": "2026-11-01"}
ENTRIES = [("gpus", GPU, "name", "X100 b"), ("models", MODEL, "note", "small"), ("offers", OFFER, "usd_per_hour", 18.5)]
CSV = ("provider,instance_type,region,gpu_id,gpu_count,purchase,usd_per_hour,as_of,source\n"
       "acme,n1,north,l4,1,on_demand,1.5,2026-10-01,contract 7\n"
       "acme,n1,north,zz,1,on_demand,1.5,2026-10-01,contract 7\n")


class Writer:
    """Sends with a key; `ask` reads again until the service shows the newest catalog."""

    def __init__(self, service, key, sql):
        self.service, self.key, self.sql = service, key, sql

    def send(self, method, path, json=None, *, id=None, match=None, once=None, body=None, key=None, **more):
        headers = {"Authorization": f"Bearer {key or self.key}", **more}
        headers |= {"If-Match": match} if match else {}
        headers |= {"Idempotency-Key": once} if once else {}
        query = {"id": id} if id is not None else None
        return self.service.call(method, "/v1/" + path, json=json, query=query, headers=headers, body=body)

    def newest(self):
        return newest(self.sql)

    def await_status(self, key, status):
        """Until a change of nothing with that key is answered so."""
        await_true(lambda: self.send("DELETE", "gpus", id="zz", match="*", key=key).status == status)

    def listed(self, path, **query):
        """The list, once the service has the newest catalog."""
        await_version(self.service, self.newest())
        answer = self.service.call("GET", "/v1/" + path, query=query)
        assert answer.status == 200, answer.text
        return answer.json


@pytest.fixture
def writer(database, serve, make_key, sql):
    key = make_key(database, "writer")
    return Writer(serve(database, *QUICKLY), key, sql)


def fields_of(answer):
    return {error["field"] for error in answer.json["errors"]}


def identify(answer):
    return str(answer.json["entry"]["id"])


@pytest.mark.parametrize("path, entry, field, value", ENTRIES)
def test_an_entry_lives_and_ends(writer, path, entry, field, value):
    made = writer.send("POST", path, entry)
    assert made.status == 201, made.text
    id, version = identify(made), made.json["version"]
    assert made.headers["ETag"] == f'"{version}"' and number(made.json["catalog_version"]) == writer.newest()
    filters = {"providers": "acme"} if path == "offers" else {"id": id}
    listed = writer.listed(path, **filters)[path][0]
    assert listed["version"] == version
    assert writer.send("POST", path, entry).status == 409
    changed = writer.send("PATCH", path, {field: value}, id=id, match=f'"{version}"')
    assert changed.status == 200 and changed.json["version"] > version
    listed = writer.listed(path, **filters)[path][0]
    assert listed[field] == value and listed["version"] == changed.json["version"]
    late = writer.send("PATCH", path, {field: entry.get(field)}, id=id, match=f'"{version}"')
    assert late.status == 412 and str(changed.json["version"]) in late.json["detail"]
    same = writer.send("PATCH", path, {field: value}, id=id, match="*")
    assert (same.status, same.json) == (200, changed.json)  # nothing changed: no new version
    assert writer.send("DELETE", path, id=id).status == 428
    assert writer.send("PATCH", path, {field: value}, id=id).status == 428
    assert writer.send("DELETE", path, id=id, match=f'"{version}"').status == 412
    ended = writer.send("DELETE", path, id=id, match=changed.headers["ETag"])
    assert ended.status == 200 and ended.json["entry"] is None and ended.headers["ETag"] is None
    for method, body in (("DELETE", None), ("PATCH", {field: value})):
        assert writer.send(method, path, body, id=id, match="*").status == 404
    again = writer.send("POST", path, entry)
    assert again.status == 201 and again.json["version"] > changed.json["version"]


@pytest.mark.parametrize("path, entry", [row[:2] for row in ENTRIES])
def test_every_bad_field_is_named(writer, path, entry):
    versions = writer.newest()
    empty = writer.send("POST", path, {})
    assert empty.status == 422 and len(fields_of(empty)) >= 6 and "source" in fields_of(empty)
    unknown = writer.send("POST", path, {**entry, "soruce": "x", "nonsense": 1})
    assert unknown.status == 400 and fields_of(unknown) == {"soruce", "nonsense"}
    assert any("did you mean source?" in error["detail"] for error in unknown.json["errors"])
    nested = writer.send("POST", path, {**entry, "source": ["a"], "as_of": {"day": 1}})
    assert nested.status == 400 and fields_of(nested) == {"source", "as_of"}
    wrong = writer.send("POST", path, {**entry, "as_of": "yesterday", "source": "x" * 3000})
    assert wrong.status == 422 and fields_of(wrong) == {"as_of", "source"}
    number = "gpu_count" if path == "offers" else "memory_nominal_gb" if path == "gpus" else "layers"
    types = writer.send("POST", path, {**entry, "source": True, "as_of": 20261101, number: "8"})
    assert types.status == 400 and fields_of(types) == {"source", "as_of", number}
    assert writer.send("POST", path, body=b"{").status == 400
    assert writer.send("POST", path, body=b"[1]").status == 400
    for match in ('"x"', '"-1"', '""', "W/\"1\"", '"99999999999999999999"'):
        for method, body in (("PATCH", {"source": "y"}), ("DELETE", None)):
            answer = writer.send(method, path, body, id="1", match=match)
            assert answer.status == 422 and fields_of(answer) == {"If-Match"}, answer.text
    nothing = writer.send("PATCH", path, {}, id="1", match="*")
    assert nothing.status == 400 and "what is to change" in nothing.text
    without = writer.send("DELETE", path, match="*")
    assert without.status == 400 and fields_of(without) == {"id"}, without.text
    doubled = writer.service.call("DELETE", f"/v1/{path}?id=1&id=2", check=False,
                                  headers={"Authorization": f"Bearer {writer.key}", "If-Match": "*"})
    assert doubled.status == 400
    assert writer.newest() == versions


def test_what_an_offer_may_not_be(writer):
    cases = [({"usd_per_hour": 0}, {"usd_per_hour"}), ({"gpu_id": "h100"}, {"gpu_id"}), ({"gpu_id": "zz"}, {"gpu_id"}),
             ({"purchase": "reserved"}, {"term_months"}), ({"purchase": "owned"}, {"purchase"}),
             ({"price_basis": "per_chip"}, {"price_basis"}), ({"gpu_count": 1.5}, {"gpu_count"}),
             ({"region": "no way"}, {"region"}), ({"provider": ""}, {"provider"})]
    for change, fields in cases:
        answer = writer.send("POST", "offers", {**OFFER, **change})
        assert answer.status == 422 and fields <= fields_of(answer), (change, answer.text)
    made = writer.send("POST", "offers", {**OFFER, "gpu_id": "H100 SXM", "provider": "Acme"})
    assert made.status == 201 and made.json["entry"]["gpu_id"] == "h100-sxm"
    assert made.json["entry"]["zone"] is None and made.json["entry"]["term_months"] is None  # as the list says it
    id = identify(made)
    twin = writer.send("POST", "offers", {**OFFER, "provider": "ACME", "instance_type": "N8"})
    assert twin.status == 409 and f"offer {id}" in twin.json["detail"]
    moved = writer.send("PATCH", "offers", {"region": "bergen"}, id=id, match="*")
    assert moved.status == 422 and fields_of(moved) == {"region"}
    older = writer.send("PATCH", "offers", {"usd_per_hour": 19, "as_of": "2026-10-01"}, id=id, match="*")
    assert older.status == 422 and "2026-11-01" in older.json["detail"]
    assert writer.send("PATCH", "offers", {"vcpus": 4}, id="n8", match="*").status == 422  # no number
    history = "select string_agg(usd_per_hour::float8::text, ' ' order by from_version) from gpusize.offer_price where offer_id = "
    assert writer.send("PATCH", "offers", {"usd_per_hour": 19, "as_of": "2026-11-20"}, id=id, match="*").status == 200
    assert writer.sql(history + id) == "20 19"


def test_a_gpu_with_offers_stays(writer):
    assert writer.send("POST", "gpus", GPU).status == 201
    writer.sql("insert into gpusize.gpu_alias (namespace, name, target, source, as_of)"
               " values ('user', 'X one hundred', 'x100', 'us', '2026-11-01')")
    writer.listed("gpus", id="X one hundred")
    offer = writer.send("POST", "offers", {**OFFER, "gpu_id": "X one hundred"})
    refused = writer.send("DELETE", "gpus", id="x100", match="*")
    assert refused.status == 409 and refused.json["errors"][0]["code"] == "in_use"
    assert writer.send("DELETE", "offers", id=identify(offer), match="*").status == 200
    assert writer.send("DELETE", "gpus", id="X100", match="*").status == 200  # any case
    assert writer.sql("select count(*) from gpusize.gpu_alias where to_version is null and target = 'x100'") == "0"


def test_a_model_by_its_config(writer):
    made = writer.send("POST", "models", {"id": "acme/conf", "config": LLAMA, "source": "our \"own\"", "note": "a, b"})
    assert made.status == 201, made.text
    entry = made.json["entry"]
    assert (entry["layers"], entry["kv_heads"], entry["attention_kind"], entry["note"]) == (16, 8, "gqa", "a, b")
    kept = writer.sql("select config::text from gpusize.model where id = 'acme/conf' and to_version is null")
    assert json.loads(kept) == LLAMA and len(entry["config_sha256"]) == 64
    writer.listed("models", id="acme/conf")
    sized = writer.service.call("GET", "/v1/memory", query={"model": "acme/conf", "gpu": "l40s"})
    by_config = writer.service.call("POST", "/v1/memory", json={"model": {"config": LLAMA}, "gpu": "l40s"})
    assert sized.json["memory"] == by_config.json["memory"]
    other = writer.send("PATCH", "models", {"config": {**LLAMA, "num_hidden_layers": 20}}, id="acme/conf", match="*")
    assert other.status == 422 and fields_of(other) == {"source"}  # a file is from somewhere
    other = writer.send("PATCH", "models", {"config": {**LLAMA, "num_hidden_layers": 20}, "source": "v2"},
                        id="acme/conf", match="*")
    assert other.status == 200 and other.json["entry"]["layers"] == 20, other.text
    long = writer.send("POST", "models", {"id": "acme/long", "source": "x", "config": {**LLAMA, "notes": "n" * 100000}})
    assert long.status == 201
    for body in ({"config": LLAMA, "source": "x"}, {"id": "acme/b", "source": "x", "config": "text"},
                 {"id": "acme/b", "source": "x", "config": {}}, {"id": "a b", "source": "x", "config": LLAMA},
                 {"id": "acme/b", "source": "x", "config": {**LLAMA, "hidden_size": -1}}):
        assert writer.send("POST", "models", body).status in (400, 422), body
    assert "config" not in writer.sql("select new::text from gpusize.audit_log where subject = 'model' order by id limit 1"
                                      ).replace("config_sha256", "")


def test_a_repeat_is_not_done_again(writer):
    first = writer.send("POST", "gpus", GPU, once="a-1")
    versions = writer.newest()
    again = writer.send("POST", "gpus", GPU, once="a-1")
    assert (first.status, first.json) == (again.status, again.json) == (201, first.json)
    assert writer.newest() == versions
    other = writer.send("POST", "gpus", {**GPU, "id": "x200"}, once="a-1")
    assert other.status == 422 and fields_of(other) == {"Idempotency-Key"}
    failed = writer.send("POST", "gpus", {**GPU, "id": "x300", "node_gpus": 0}, once="a-2")
    assert failed.status == 422
    assert writer.send("POST", "gpus", {**GPU, "id": "x300"}, once="a-2").status == 201  # a failure is no answer
    for key in ("with blank", "ü", "x" * 201):
        bad = writer.send("POST", "gpus", GPU, once=key.encode("utf-8").decode("latin-1"))
        assert bad.status in (400, 422), bad.text
    writer.sql("update gpusize.idempotency_key set created_at = now() - interval '25 hours'")
    assert writer.send("POST", "gpus", GPU, once="a-1").status == 409  # forgotten: it is done, and cannot be


def test_the_same_write_many_times_at_once(writer):
    answers = []

    def send():
        answers.append(writer.send("POST", "offers", OFFER, once="race"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [201] * 8
    assert len({answer.text for answer in answers}) == 1
    assert writer.sql("select count(*) from gpusize.offer where provider = 'acme'") == "1"


def test_two_who_change_the_same(writer):
    made = writer.send("POST", "offers", OFFER)
    id, version, done = identify(made), f'"{made.json["version"]}"', []

    def send(usd):
        done.append(writer.send("PATCH", "offers", {"usd_per_hour": usd}, id=id, match=version).status)

    threads = [threading.Thread(target=send, args=(10 + i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [200] + [412] * 5


def test_imports_by_http(writer):
    def send(text, once=None, kind="csv", **query):
        names = "&".join(f"{name}={value}" for name, value in query.items())
        return writer.send("POST", f"offers/import?kind={kind}&{names}", body=text.encode(), once=once,
                           **{"Content-Type": "text/csv"})

    dry = send(CSV, dry_run="true")
    assert dry.status == 200 and dry.json["new_rows"] == 1 and dry.json["rejections"][0]["line"] == 3
    assert writer.sql("select count(*) from gpusize.offer where provider = 'acme'") == "0"
    done = send(CSV, once="i-1")
    assert done.status == 200 and done.json["catalog_version"] == writer.newest()
    assert send(CSV, once="i-1").json == done.json
    assert send(CSV, once="i-2").json["catalog_version"] is None  # nothing differs
    assert [offer["usd_per_hour"] for offer in writer.listed("offers", providers="acme")["offers"]] == [1.5]
    jump = send(CSV.replace("1.5,2026-10", "9,2026-11"))
    assert jump.status == 422 and any("1.5 -> 9" in error["detail"] for error in jump.json["errors"])
    assert send(CSV.replace("1.5,2026-10", "9,2026-11"), accept_jumps="true").json["changed_rows"] == 1
    assert send("nonsense\n").status == 422 and send("").status == 422
    assert send(CSV, kind="nonsense").status == 422 and send(CSV, colour="red").status == 400
    assert writer.send("POST", "offers/import", body=CSV.encode(), **{"Content-Type": "text/csv"}).status == 400
    html = writer.send("POST", "offers/import?kind=csv", body=CSV.encode(), **{"Content-Type": "text/html"})
    assert html.status == 415 and "text/csv" in html.json["detail"]
    run = ("uid,source,engine,date,model,gpu,gpus_total,isl,osl,concurrency,load_mode,out_tok_s_total\n"
           "7,our bench,vLLM,2026-11-02,Llama-3.1-8B,H100-SXM-80GB,1,1024,256,32,closed-loop,2900\n")
    assert send(run, kind="measured", dry_run="true").json["new_rows"] == 1
    runs = "select count(*) from gpusize.import_run where created_by like 'key %'"
    assert writer.sql(runs) == "3"


def test_a_large_import_in_chunks(writer):
    rows = 20000
    lines = "".join(f"bulk,n{i},north,l4,1,on_demand,{1 + i / rows:.4f},2026-10-01,list\n" for i in range(rows))

    def pieces():
        text = (CSV.splitlines(keepends=True)[0] + lines).encode()
        for start in range(0, len(text), 100000):
            yield text[start:start + 100000]

    done = writer.send("POST", "offers/import?kind=csv", body=pieces(), **{"Content-Type": "text/csv"})
    assert done.status == 200 and done.json["new_rows"] == rows
    assert writer.listed("offers", providers="bulk", limit=1)["total_count"] == rows


def test_who_may(writer, database, make_key):
    reader, admin = make_key(database, "reader"), make_key(database, "admin")
    soon = make_key(database, "writer", "--expires-at", "2099-01-01")
    expired = make_key(database, "writer")
    writer.await_status(expired, 404)  # it is known first: a 401 could be that of a key that is not yet
    writer.sql(f"update gpusize.api_key set expires_at = now() - interval '1 hour' where id = '{expired[8:20]}'")
    writer.await_status(expired, 401)
    for path in ("gpus", "models", "offers"):
        for method, body in (("POST", {}), ("PATCH", {}), ("DELETE", None)):
            anonymous = writer.service.call(method, f"/v1/{path}", json=body)
            assert anonymous.status == 401 and anonymous.headers["WWW-Authenticate"].startswith("Bearer")
            for key in (writer.key[:-1] + ("0" if writer.key[-1] != "0" else "1"), "gpusize_x", expired):
                assert writer.send(method, path, body, key=key).status == 401
            assert writer.send(method, path, body, key=reader).status == 403
            for key in (admin, soon):
                assert writer.send(method, path, body, key=key, match="*").status in (400, 422)
    for key, status in ((None, 401), (reader, 403)):
        headers = {"Content-Type": "text/csv"} | ({"Authorization": f"Bearer {key}"} if key else {})
        assert writer.service.call("POST", "/v1/offers/import?kind=csv", body=b"x", headers=headers).status == status
    other = {"Authorization": "Bearer somebody-elses-token"}
    assert writer.service.call("POST", "/v1/gpus", json={}, headers=other).status == 401
    assert writer.service.call("GET", "/v1/gpus", headers=other).status == 200  # a proxy's token is no bad key
    basic = {"Authorization": "Basic eDp5", "X-Api-Key": "gpusize_x"}  # a proxy's password does not make a bad key good
    assert writer.service.call("GET", "/v1/gpus", headers=basic).status == 401


def test_a_key_in_the_query_only_reads(writer, database, make_key):
    reader = make_key(database, "reader")
    writer.await_status(reader, 403)
    answer = writer.service.call("GET", "/v1/gpus", query={"key": reader, "id": "l4"})
    plain = writer.service.call("GET", "/v1/gpus", query={"id": "l4"})
    assert answer.body == plain.body and answer.headers["ETag"] == plain.headers["ETag"]
    for query in (f"id=l4&key={reader}", f"%6Bey={reader}&id=l4", f"&key={reader}&&id=l4&"):
        assert writer.service.call("GET", "/v1/gpus?" + query).body == plain.body
    refused = writer.service.call("GET", "/v1/gpus", query={"key": writer.key})
    assert refused.status == 403 and writer.key not in refused.text
    assert writer.service.call("GET", f"/v1/gpus?key={reader}&key={reader}").status == 400
    twice = writer.service.call("GET", "/v1/gpus", query={"key": reader}, headers={"X-Api-Key": reader})
    assert twice.status == 400
    assert writer.service.call("GET", "/v1/gpus", headers={"X-Api-Key": reader}).status == 200
    for nonsense in ("nonsense", "%zz", reader + "0" * 100):
        assert writer.service.call("GET", "/v1/gpus?key=" + nonsense).status == 401
    writer.service.stop()
    assert reader[21:] not in "".join(writer.service.log) and writer.key[21:] not in "".join(writer.service.log)


def test_reading_may_need_a_key(database, serve, make_key):
    key = make_key(database, "reader")
    service = serve(database, "--reading-needs-key", "on")
    headers = {"Authorization": f"Bearer {key}"}
    for path in ("/v1/gpus", "/v1/offers", "/v1/recommend?model=llama-3.1-8b", "/recommend.txt?model=llama-3.1-8b&field=id"):
        for _ in range(2):  # the second time it is in the answer cache
            assert service.call("GET", path, headers=headers, check=False).status == 200
            assert service.call("GET", path, check=False).status == 401
    assert service.call("POST", "/v1/recommend", json={"model": "llama-3.1-8b"}).status == 401
    assert service.call("POST", "/v1/recommend", json={"model": "llama-3.1-8b"}, headers=headers).status == 200
    for path in ("/livez", "/readyz", "/metrics", "/docs", "/", "/openapi.yaml"):
        assert service.call("GET", path).status == 200


def test_keys_are_known_and_revoked_at_once(writer, database, make_key):
    key = make_key(database, "writer")
    writer.await_status(key, 404)
    writer.sql(f"update gpusize.api_key set revoked_at = now() where id = '{key[8:20]}'")
    writer.await_status(key, 401)


def test_a_key_is_revoked_by_its_whole_name(cluster, database, gpusize):
    name, url = "x" * 100, cluster.url(database)
    gpusize(url, "key", "create", "--name", name)
    assert "no key that is not revoked" in gpusize(url, "key", "revoke", name + "y", status=2)
    assert gpusize(url, "key", "revoke", name) == f"revoked {name}\n"


def test_a_key_that_ends_at_infinity(writer, database, make_key):
    """Nobody but psql makes one; it must not keep the others from being known."""
    writer.sql("update gpusize.api_key set expires_at = 'infinity'")
    later = make_key(database, "writer")
    for key in (later, writer.key):
        writer.await_status(key, 404)


def test_limits(database, serve, make_key):
    own, plain = make_key(database, "reader", "--requests-per-second", "1000"), make_key(database, "reader")
    service = serve(database, "--address-requests-per-second", "1", "--key-requests-per-second", "2",
                    "--trusted-proxies", "127.0.0.0/8")

    def ask(count, **headers):
        answers = [service.call("GET", "/v1/gpus", query={"id": "l4"}, headers=headers) for _ in range(count)]
        for answer in answers:
            assert answer.status in (200, 429)
            if answer.status == 429:
                assert 1 <= int(answer.headers["Retry-After"]) <= 10
                assert answer.json["errors"][0]["code"] == "too_many_requests"
        return [answer.status for answer in answers].count(429)

    one, two = {"X-Forwarded-For": "10.1.1.1"}, {"X-Forwarded-For": "spoofed, 10.1.1.2"}
    assert ask(10, **one) == 0 and ask(40, **one) > 0  # ten seconds' worth at once
    assert ask(10, **two) == 0
    for host in range(3, 6):  # as a dual-stack proxy writes them
        assert ask(10, **{"X-Forwarded-For": f"::ffff:10.1.1.{host}"}) == 0
    assert ask(200, **{"X-Api-Key": own}) == 0
    assert ask(20, **{"X-Api-Key": plain}) == 0 and ask(60, **{"X-Api-Key": plain}) > 0
    assert service.call("GET", "/readyz", headers=one).status == 200
    for _ in range(30):
        assert service.call("GET", "/livez", headers=one).status == 200


def test_writes_that_wait_hold_up_nobody(writer, cluster, database, serve):
    """Not even where one thread reads, and a statement may take for ever."""
    service = serve(database, "--db-workers", "1", "--db-statement-timeout-ms", "0")
    slow, done = Writer(service, writer.key, writer.sql), []
    rivals = [threading.Thread(target=lambda: done.append(slow.send("PATCH", "gpus", {"tdp_watts": 71}, id="l4", match="*")))
              for _ in range(30)]
    with Session(cluster, database) as session:
        session.run("begin; select gpusize.lock_catalog()")
        for rival in rivals:
            rival.start()
        await_true(lambda: len(done) == 30 - 2 - 16)  # so many are being done, and wait
        for answer in done:
            assert answer.status == 503 and answer.headers["Retry-After"] and answer.json["errors"][0]["code"] == "overloaded"
        assert service.call("GET", "/v1/offers/history", query={"gpus": "l4"}).status == 200
        assert service.call("GET", "/v1/recommendations/" + "0" * 32).status == 404
        session.run("rollback")
        for rival in rivals:
            rival.join()
    assert sorted(answer.status for answer in done) == [200] * 18 + [503] * 12


def test_everything_is_in_the_audit_log(writer):
    made = writer.send("POST", "gpus", GPU)
    writer.send("PATCH", "gpus", {"tdp_watts": 700}, id="x100", match=made.headers["ETag"])
    writer.send("DELETE", "gpus", id="x100", match="*")
    writer.send("POST", "offers/import?kind=csv", body=CSV.encode(), **{"Content-Type": "text/csv"})
    writer.sql("update gpusize.gpu set tdp_watts = 73 where id = 'l4'")
    rows = writer.sql("select action || ' ' || subject || ' ' || split_part(actor, ' ', 1) || ' ' || coalesce(old->>'tdp_watts', '-')"
                      " || ' ' || coalesce(new->>'tdp_watts', '-') from gpusize.audit_log order by id").splitlines()
    assert rows == ["import catalog postgres - -", "insert api_key postgres - -", "insert gpu key - -",
                    "update gpu key - 700", "delete gpu key 700 -", "import import_run key - -",
                    "update gpu postgres 72 73"]
    hidden = writer.sql("select count(*) from gpusize.audit_log where new::text like '%secret_hash%'")
    assert hidden == "0" and writer.key[21:] not in writer.sql("select json_agg(k)::text from gpusize.api_key k")
    for change in ("update gpusize.audit_log set actor = 'nobody'", "delete from gpusize.audit_log",
                   "truncate gpusize.audit_log", "delete from gpusize.api_key"):
        with pytest.raises(AssertionError, match="only added to"):
            writer.sql(change)


def test_writes_while_the_database_is_away(writer, cluster):
    assert writer.send("PATCH", "gpus", {"tdp_watts": 71}, id="l4", match="*").status == 200
    writer.sql("checkpoint")  # the cluster of tests forgets what it has not written yet
    cluster.stop()
    for _ in range(3):
        away = writer.send("PATCH", "gpus", {"tdp_watts": 700}, id="l4", match="*")
        assert away.status == 503 and away.headers["Retry-After"] == "1"
        assert away.json["errors"][0]["code"] == "database_away"
        assert writer.service.call("GET", "/v1/gpus", query={"id": "l4"}).status == 200
    cluster.start()
    await_true(lambda: writer.send("PATCH", "gpus", {"tdp_watts": 700}, id="l4", match="*").status == 200)


def test_a_killed_server_leaves_no_half_of_a_write(writer, cluster, database):
    """The write waits for the catalog's lock when the server is killed."""
    writer.sql("checkpoint")  # the cluster of tests forgets what it has not written yet
    answers = []
    sender = threading.Thread(target=lambda: answers.append(writer.send("POST", "offers", OFFER, once="k")))
    with Session(cluster, database) as blocker:
        blocker.run("begin; select gpusize.lock_catalog()")
        sender.start()
        await_session(cluster, database, "serve", "wait_event = 'advisory'")
        cluster.stop()
        sender.join()
    assert answers[0].status == 503
    cluster.start()
    counts = ("select (select count(*) from gpusize.offer where provider = 'acme') + (select count(*) from gpusize.provider"
              " where provider = 'acme') + (select count(*) from gpusize.idempotency_key)")
    assert writer.sql(counts) == "0"
    await_true(lambda: writer.send("POST", "offers", OFFER, once="k").status == 201)


def test_without_a_database_nothing_can_be_written(service):
    for path in ("gpus", "models", "offers"):
        answer = service.call("POST", f"/v1/{path}", json={})
        assert answer.status == 503 and answer.json["errors"][0]["code"] == "read_only_catalog"
        assert "DATABASE_URL" in answer.text
    assert json.loads(service.call("GET", "/v1/gpus", query={"id": "l4"}).text)["gpus"][0]["version"] is None
