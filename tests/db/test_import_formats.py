"""test_import_formats.py owns the tests of the price lists of others on a real database: what their files become."""
import json
import os
import threading
import zipfile

from price_lists import AWS_HEAD, GPUHUNT, aws_row, azure_item, azure_page
from prices import VERSIONS
from waiting import LIMIT_S

OFFERS = ("select o.provider, o.instance_type, o.region, o.gpu_id, o.gpu_count, o.purchase, o.term_months,"
          " p.usd_per_hour, p.as_of from gpusize.offer o join gpusize.offer_price p on p.live_offer_id = o.id"
          " where p.import_run_id is not null order by 1, 2, 3, 6, 7")


def test_azure_retail(run, sql, tmp_path):
    file = tmp_path / "prices.json"
    reservation = azure_item(price=20000, type="Reservation", reservationTerm="1 Year")
    file.write_text(azure_page(azure_item(), reservation, azure_item("Standard_NV6ads_A10_v5"),
                               azure_item(productName="NCads A100 v4 Series Windows"))
                    + azure_page(azure_item(meter="NC24ads A100 v4 Spot", price=1.2)))
    report = run("azure-retail", file, "--as-of", "2026-11-02")
    assert (report["new_rows"], report["rejected_rows"]) == (3, 1)
    assert report["rejections"][0]["line"] == 3 and "a share of one is no offer" in report["rejections"][0]["reason"]
    assert sql(OFFERS) == "\n".join(
        f"azure|Standard_NC24ads_A100_v4|westus2|a100-80gb-pcie|1|{offer}|2026-11-02"
        for offer in ["on_demand|0|3.673000", "reserved|12|2.283105", "spot|0|1.200000"])
    versions = sql(VERSIONS)
    assert run("azure-retail", file, "--as-of", "2026-11-03")["unchanged_rows"] == 3
    assert sql(VERSIONS) == versions


def test_a_part_of_the_pages_is_not_all(run, sql, tmp_path):
    file = tmp_path / "prices.json"
    file.write_text(azure_page(azure_item(), following="https://prices.azure.com/api/retail/prices?$skip=1000"))
    versions = sql(VERSIONS)
    assert "last page names another one" in run("azure-retail", file, "--complete", status=2)
    assert sql(VERSIONS) == versions
    assert run("azure-retail", file)["new_rows"] == 1


def test_aws_price_list(run, sql, tmp_path):
    file = tmp_path / "index.csv"
    file.write_text(AWS_HEAD + aws_row("p5.48xlarge", "55.04", 8) + aws_row("p5.48xlarge", "60", 8, "Windows")
                    + aws_row("g5.12xlarge", "5.672", "") + aws_row("g6f.large", "0.2", "0.125")
                    + aws_row("c7i.large", "0.09", ""))
    report = run("aws-price-list", file)
    assert (report["new_rows"], report["as_of"]) == (2, "2026-10-20")
    assert [one["line"] for one in report["rejections"]] == [10]
    assert sql(OFFERS) == ("aws|g5.12xlarge|test-east-1|a10g|4|on_demand|0|5.672000|2026-10-20\n"
                           "aws|p5.48xlarge|test-east-1|h100-sxm|8|on_demand|0|55.040000|2026-10-20")
    versions = sql(VERSIONS)
    assert run("aws-price-list", file)["unchanged_rows"] == 2
    assert sql(VERSIONS) == versions


def test_cut_files_change_nothing(run, sql, tmp_path):
    file = tmp_path / "cut"
    versions = sql(VERSIONS)
    file.write_text(azure_page(azure_item(), azure_item())[:-200])
    assert "cut off" in run("azure-retail", file, status=2)
    file.write_text(AWS_HEAD + aws_row("p5.48xlarge", "55.04", 8)[:-5])
    assert "no closing quote" in run("aws-price-list", file, status=2)
    file.write_text(json.dumps({"error": {"code": "BadRequest"}}))
    assert 'no list "Items"' in run("azure-retail", file, status=2)
    assert sql(VERSIONS) == versions and sql("select count(*) from gpusize.import_run") == "0"


def write_zip(path, **files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(f"{name}.csv", GPUHUNT + text)
        file.writestr("version", "20261101")
    return path


def test_gpuhunt_zip(run, sql, tmp_path):
    file = write_zip(tmp_path / "catalog.zip", lambdalabs="one,eu-1,0.6,8,32.0,1,L4,24.0,False\n",
                     acme="one,eu-1,0.7,8,32.0,1,L4,24.0,False\none,eu-1,0.2,8,32.0,1,L4,24.0,True\n"
                          "odd,eu-1,0,8,32.0,1,L4,24.0,False\nsmall,eu-1,0.1,4,16.0,0,,,False\n")
    report = run("gpuhunt", file, "--as-of", "2026-11-01")
    assert (report["new_rows"], report["accepted_rows"], report["rejected_rows"]) == (3, 3, 1)
    assert report["rejections"] == [{"line": 4, "field": "price", "reason": "acme.csv: 0 is unknown, not free"}]
    assert sql(OFFERS) == ("acme|one|eu-1|l4|1|on_demand|0|0.700000|2026-11-01\n"
                           "acme|one|eu-1|l4|1|spot|0|0.200000|2026-11-01\n"
                           "lambda|one|eu-1|l4|1|on_demand|0|0.600000|2026-11-01")
    assert sql("select count(*), max(length(file_sha256)) from gpusize.import_run") == "1|64"
    versions = sql(VERSIONS)
    assert run("gpuhunt", file, "--as-of", "2026-11-02")["unchanged_rows"] == 3
    assert sql(VERSIONS) == versions


def test_a_zip_with_names_that_are_odd(run, tmp_path):
    """A name is a provider's and nothing else: nothing is unpacked into a file."""
    offer, free = "one,eu-1,0.6,8,32.0,1,L4,24.0,False\n", "odd,eu-1,0,8,32.0,1,L4,24.0,False\n"
    long = "x" + "é" * 60  # cut in the middle of a letter it would not be UTF-8
    report = run("gpuhunt", write_zip(tmp_path / "catalog.zip", **{"/../../acme": offer, long: free}))
    assert report["new_rows"] == 1
    assert [r["reason"] for r in report["rejections"]] == [long[:40] + ": 0 is unknown, not free"]


def test_gpuhunt_through_a_pipe(run, tmp_path):
    pipe = tmp_path / "acme.csv"
    os.mkfifo(pipe)
    text = GPUHUNT + "one,eu-1,0.6,8,32.0,1,L4,24.0,False\n"
    writer = threading.Thread(target=pipe.write_text, args=[text], daemon=True)
    writer.start()
    assert run("gpuhunt", pipe)["new_rows"] == 1
    writer.join()


def test_zips_that_are_refused(run, sql, tmp_path):
    versions = sql(VERSIONS)
    good = write_zip(tmp_path / "good.zip", acme="one,eu-1,0.7,8,32.0,1,L4,24.0,False\n")
    assert "names of the zip's files say it" in run("gpuhunt", good, "--provider", "acme", status=2)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(good.read_bytes()[:-30])
    assert "damaged or cut off" in run("gpuhunt", cut, status=2)
    odd = write_zip(tmp_path / "odd.zip", acme='"', other="one,eu-1,0.7,8,32.0,1,L4,24.0,False\n")
    error = run("gpuhunt", odd, status=2)
    assert "no closing quote" in error and "that is in acme.csv of the zip" in error
    assert "no .csv in it" in run("gpuhunt", write_zip(tmp_path / "none.zip"), status=2)
    assert sql(VERSIONS) == versions and sql("select count(*) from gpusize.import_run") == "0"


MEASURED = ("uid,source,engine,engine_version,date,model,precision_weights,precision_kv,gpu,gpus_total,tp,pp,ep,isl,osl,"
            "concurrency,load_mode,out_tok_s_total,total_tok_s_total,prefill_tok_s,ttft_ms,tpot_ms,e2e_s,trust,notes\n")


def measured(uid, rate, model="Llama-3.1-8B", date="2026-10-02"):
    return (f'{uid},a report,vLLM,0.19,{date},{model},fp8,fp8,H100-SXM-80GB,2,2.0,1,,1024,128,64,closed-loop,{rate},,,'
            f'35.5,12,1.6,A,"a ""note"", one\\two"\n')


def test_measured_results(run, sql, tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text(MEASURED + measured(1, 5000) + measured(2, 4000) + measured(3, 4000, "Llama-9"))
    report = run("measured", file)
    assert (report["new_rows"], report["rejected_rows"]) == (2, 1)
    assert report["rejections"] == [{"line": 4, "field": "model", "reason": 'there is no model "Llama-9"; did you mean huggyllama/llama-7b?'}]
    where = "from gpusize.observation where to_version is null and uid in ('1', '2') and source = 'a report'"
    assert sql("select uid, engine, engine_version, model_id, gpu_id, gpu_count, tensor_parallel, expert_parallel, load,"
               f" output_tokens_per_second, e2e_ms, notes, as_of, import_run_id is null {where} order by 1 limit 1") == (
        '1|vllm|0.19|meta-llama/Llama-3.1-8B-Instruct|h100-sxm|2|2||concurrency|5000|1600|a "note", one\\two|2026-10-02|f')
    versions = sql(VERSIONS)
    assert run("measured", file)["unchanged_rows"] == 2
    file.write_text(MEASURED + measured(1, 5000, date="2026-10-03") + measured(2, 4000, date="75b6210f"))
    assert run("measured", file)["unchanged_rows"] == 2  # a later day alone is no change
    assert sql(VERSIONS) == versions
    file.write_text(MEASURED + measured(1, 5500))
    report = run("measured", file)
    assert (report["changed_rows"], report["missing_rows"]) == (1, 0)
    assert sql(f"select uid, output_tokens_per_second {where} order by 1") == "1|5500\n2|4000"
    file.write_text(MEASURED + measured(1, 5600, date="2026-09-01"))
    assert run("measured", file)["older_rows"] == 1


def test_the_real_measured_results(run, sql, shared):
    report = run("measured", shared / "data" / "throughput_measured.csv")
    assert (report["accepted_rows"], report["rejected_rows"]) == (6657, 427)
    versions = sql(VERSIONS)
    assert run("measured", shared / "data" / "throughput_measured.csv")["unchanged_rows"] == 6657
    assert sql(VERSIONS) == versions


def test_measured_results_are_evaluated(run, launch, cluster, database, tmp_path):
    def evaluate(*arguments):
        process = launch(cluster.url(database), "evaluate", "--by", "load", "--json", *arguments)
        out, error = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, out + error
        return json.loads(out)

    file, bench = tmp_path / "runs.csv", tmp_path / "bench.json"
    one = "a report,llama.cpp,,2026-10-02,Llama-3-8B,Q4_K_M,,RTX 4090 24GB,1,,,,512,128,1"
    file.write_text(MEASURED + measured(1, 5000) + f"2,{one},batch-1 decode,100,,,,10,,B,\n3,{one},batch-1 prefill,,,4000,,,,B,\n")
    assert run("measured", file)["new_rows"] == 3
    from_file, from_database = evaluate("--measured", str(file)), evaluate()
    assert from_database["files"] == [{"file": "gpusize.observation", "rows": 3}]
    assert from_database["groupings"] == from_file["groupings"] and from_database["scored"] == 7
    bench.write_text(json.dumps([{"build_number": 5163, "gpu_info": "NVIDIA H100 80GB HBM3", "type_k": "f16",
                                  "model_filename": "Meta-Llama-3-8B.Q8_0.gguf", "model_type": "llama 8B Q8_0",
                                  "n_prompt": 0, "n_gen": 128, "test_time": "2026-10-02T11:58:50Z", "avg_ts": 120.0}]))
    assert run("measured", bench)["new_rows"] == 1
    assert evaluate()["files"][0]["rows"] == 4
