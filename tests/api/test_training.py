"""test_training.py asks about training: every method, optimizer, precision and layout; limits; money; refusals."""
import pytest

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
MIXTRAL = "mistralai/Mixtral-8x7B-Instruct-v0.1"
AS_OF = "2026-11-29"
H100S = {"gpu": "h100-sxm", "gpu_count": 8, "as_of": AS_OF}
PARTS = ("weights_gib", "gradients_gib", "optimizer_gib", "gathered_gib", "activations_gib", "logits_gib",
         "overhead_gib")


def ask(service, **question):
    answer = service.call("GET", "/v1/training", query={"model": LLAMA, "as_of": AS_OF} | question)
    assert answer.status == 200, answer.text
    return answer.json


def refusals(service, question):
    answer = service.call("POST", "/v1/training", json=question)
    assert answer.status in (400, 422), answer.text
    return {error["field"].split("[")[0]: error["detail"] for error in answer.json["errors"]}


# The article's own figures, and what its function gives for other arguments.
def test_article_training(service):
    answer = ask(service, model="7B", estimator="article", deadline_hours=3, gpu_count=8)
    memory = answer["memory"]
    assert "only the model" in answer["assumptions"][0]  # a deadline and GPUs are not
    assert memory == {"parameters_gib": 13.04, "gradients_gib": 13.04, "optimizer_gib": 26.08,
                      "activations_gib": 19.56, "total_gib": 71.71}
    cell = service.call("GET", "/v1/training.txt", query={
        "parameters": 7e9, "estimator": "article", "field": "memory.total_gib"})
    assert cell.text == "71.71"
    memory = ask(service, model="7B", estimator="article", parameter_bits=32, optimizer_factor=1,
                 activation_factor=0)["memory"]
    gib = 7e9 * 4 / 2**30
    assert memory["total_gib"] == round(3 * gib, 2) and memory["activations_gib"] == 0


@pytest.mark.parametrize("field, values", [
    ("method", ["full", "pretrain", "lora", "qlora"]),
    ("optimizer", ["adamw", "adamw_8bit", "adafactor", "sgd_momentum", "muon", "lion"]),
    ("precision", ["fp32", "bf16_mixed", "bf16", "fp8"]),
    ("sharding", ["ddp", "zero1", "zero2", "zero3", "fsdp", "fsdp_hybrid"]),
    ("recompute", ["none", "selective", "full"]),
    ("offload", ["none", "cpu_optimizer", "cpu_all", "nvme_optimizer", "nvme_all"]),
    ("flash_attention", ["true", "false"]), ("fused_loss", ["true", "false"]), ("fused_backward", ["true", "false"]),
    ("framework", ["fsdp", "megatron"]), ("objective", ["cost", "time"]),
    ("adapter_targets", ["all_linear", "attention"]),
])
def test_every_choice_is_sized(service, tables, field, values):
    """Each gives a memory of its own, or at least a time: a choice that changed nothing would not be understood."""
    declared = next(one for operation in tables["operations"] if operation["id"] == "training"
                    for one in operation["fields"] if one["name"] == field)
    if declared["names"]:
        assert set(values) <= set(declared["names"])
    fixed = H100S | ({"sharding": "fsdp"} if field == "offload" else {})
    fixed |= {"method": "lora"} if field == "adapter_targets" else {}
    fixed |= {} if field in ("recompute", "objective") else {"recompute": "full"}
    figures = []
    for value in values:
        answer = ask(service, model="1B", **(fixed | {field: value}))
        plan = answer["plan"]
        assert answer["request"][declared["group"]][field] == (value == "true" if declared["kind"] == "bool" else value) \
            if declared["group"] else answer["request"][field] == value
        assert all(plan["memory"][part] >= 0 for part in PARTS)
        assert plan["time"]["tokens_per_second"]["value"] > 0 and 0 < plan["time"]["mfu_ratio"] < 1
        figures.append((plan["memory"]["total_gib"]["value"], plan["time"]["tokens_per_second"]["value"]))
    # Full fine-tuning and pre-training differ in their batch only; both sharded in full are the same on one host.
    alike = {"method": 1, "sharding": 2, "objective": 1, "optimizer": 2}
    assert len(set(figures)) >= len(values) - alike.get(field, 0), list(zip(values, figures))


@pytest.mark.parametrize("layout", [
    {"tensor_parallel": 8}, {"tensor_parallel": 4, "pipeline_parallel": 2, "gpu_count": 32},
    {"pipeline_parallel": 4, "gpu_count": 16}, {"pipeline_parallel": 4, "virtual_stages": 2, "gpu_count": 16},
    {"context_parallel": 4}, {"tensor_parallel": 2, "sequence_parallel": "false"}, {"data_parallel": 8},
    {"sharding": "fsdp_hybrid", "gpu_count": 32},
])
def test_layouts_are_kept(service, layout):
    plan = ask(service, **(H100S | layout))["plan"]
    for name, value in layout.items():
        if name in plan["layout"]:
            assert plan["layout"][name] == value
    assert plan["layout"]["batch_sequences"] == (
        plan["layout"]["micro_batch_sequences"] * plan["layout"]["micro_batches"] * plan["layout"]["data_parallel"])
    assert (plan["time"]["breakdown"]["tensor_parallel_ratio"] > 0) == (plan["layout"]["tensor_parallel"] > 1)
    assert (plan["time"]["breakdown"]["pipeline_bubble_ratio"] > 0) == (plan["layout"]["pipeline_parallel"] > 1)
    assert sum(plan["time"]["breakdown"].values()) == pytest.approx(1, abs=1e-4)


def test_experts_are_spread(service):
    plan = ask(service, model=MIXTRAL, gpu="h100-sxm", gpu_count=64, expert_parallel=8, method="pretrain")["plan"]
    assert plan["layout"]["expert_parallel"] == 8 and plan["time"]["breakdown"]["experts_ratio"] > 0


def test_interleaving_fills_the_bubble(service):
    stages = H100S | {"gpu_count": 32, "pipeline_parallel": 8, "tensor_parallel": 4, "batch_sequences": 16,
                      "micro_batch_sequences": 1, "recompute": "full", "sharding": "zero1"}
    plain, chunks = (ask(service, **stages, virtual_stages=count)["plan"] for count in (1, 4))
    bubble, smaller = (plan["time"]["breakdown"]["pipeline_bubble_ratio"] for plan in (plain, chunks))
    assert smaller < bubble
    assert chunks["memory"]["activations_gib"] > plain["memory"]["activations_gib"]


def test_recompute_saves_what_it_says(service):
    """The saving that is told is the difference of two answers, not a quoted share."""
    setup = H100S | {"sharding": "fsdp", "micro_batch_sequences": 2, "batch_sequences": 32, "tensor_parallel": 1,
                     "pipeline_parallel": 1}
    none, full = (ask(service, **setup, recompute=word)["plan"] for word in ("none", "full"))
    total = [plan["memory"]["total_gib"]["value"] for plan in (none, full)]
    seconds = [plan["time"]["step_seconds"]["value"] for plan in (none, full)]
    told = none["recompute"]["full"]
    assert told["memory_saved_ratio"] == pytest.approx(1 - total[1] / total[0], rel=1e-4)
    assert told["time_added_ratio"] == pytest.approx(seconds[1] / seconds[0] - 1, rel=1e-3)
    assert full["recompute"]["full"] == told


def test_padding_is_computed_too(service):
    run = H100S | {"training_tokens": 1e9, "sequence_tokens": 4096}
    packed = ask(service, **run)["plan"]["time"]["hours"]["value"]
    padded = ask(service, **run, packed="false", mean_document_tokens=1024)["plan"]["time"]["hours"]["value"]
    assert padded == pytest.approx(4 * packed, rel=1e-4)


def test_limits_hold_and_money_adds_up(service):
    answer = ask(service, method="lora", training_tokens=1e8, deadline_hours=24, budget_usd=500,
                 purchase="on_demand,spot")
    plan = answer["plan"]
    cost, hours = plan["cost"], plan["time"]["hours"]
    assert answer["feasible"] and answer["relaxations"] == []
    assert plan["memory"]["fits_safely"] and hours["value"] <= 24 and cost["total_usd"]["value"] <= 500
    assert plan["meets_deadline_probability_ratio"] >= 0.9 and plan["meets_budget_probability_ratio"] >= 0.9
    assert cost["total_usd"]["value"] == pytest.approx(cost["usd_per_hour"] * hours["value"], rel=1e-4)
    assert hours["value"] == pytest.approx(24 * plan["time"]["days"]["value"], rel=1e-5)
    assert cost["usd_per_million_tokens"]["value"] == pytest.approx(cost["total_usd"]["value"] / 100, rel=1e-4)
    outranked = [row for row in answer["rejected"] if row["reason"] == "outranked"]
    assert outranked and all(row["needed"] >= row["available"] for row in outranked)
    assert [row["needed"] for row in outranked] == sorted(row["needed"] for row in outranked)


def test_time_is_bought_with_money(service):
    question = {"training_tokens": 1e9, "budget_usd": 2000}
    cheap, quick = (ask(service, **question, objective=word)["plan"] for word in ("cost", "time"))
    assert quick["time"]["hours"]["value"] < cheap["time"]["hours"]["value"]
    assert cheap["cost"]["total_usd"]["value"] < quick["cost"]["total_usd"]["value"] <= 2000


def test_renting_and_owning_side_by_side(service):
    answer = ask(service, **H100S, training_tokens=1e10)
    paid = {row["purchase"]: row for row in answer["payments"]}
    assert {"on_demand", "owned"} <= set(paid)
    owned, rented = paid["owned"], paid["on_demand"]
    assert rented["hardware_usd"] is None and rented["break_even_hours"] is None
    assert rented["total_usd"]["value"] == answer["plan"]["cost"]["total_usd"]["value"]
    assert owned["total_usd"]["value"] == pytest.approx(owned["hardware_usd"] + owned["operating_usd"], rel=1e-5)
    hours = owned["break_even_hours"]
    running = owned["operating_usd"] / owned["hours"]["value"]
    assert hours * rented["usd_per_hour"] == pytest.approx(owned["hardware_usd"] + hours * running, rel=1e-4)


def test_spot_costs_interruptions(service):
    run = H100S | {"training_tokens": 1e10, "purchase": "spot"}
    calm, rough = (ask(service, **run, interruptions_per_instance_hour=rate)["plan"] for rate in (0, 0.5))
    assert calm["interruptions"]["extra_hours"] == 0 and calm["interruptions"]["checkpoint_interval_minutes"] is None
    assert rough["interruptions"]["extra_hours"] > 0 and rough["interruptions"]["expected_interruptions"] > 0
    assert rough["time"]["hours"]["value"] == pytest.approx(
        rough["time"]["compute_hours"]["value"] + rough["interruptions"]["extra_hours"], rel=1e-4)
    assert rough["cost"]["total_usd"]["value"] > calm["cost"]["total_usd"]["value"]
    slow = ask(service, **run, interruptions_per_instance_hour=0.5, restart_minutes=60)["plan"]
    assert slow["interruptions"]["extra_hours"] > rough["interruptions"]["extra_hours"]
    assert any("spot instance" in text for text in ask(service, **run)["assumptions"])


def test_nothing_fits_says_what_would(service):
    answer = ask(service, model="meta-llama/Llama-3.1-70B-Instruct", training_tokens=1e9, deadline_hours=24,
                 budget_usd=100)
    assert not answer["feasible"] and answer["plan"] is None and answer["payments"] == []
    reasons = {row["reason"] for row in answer["rejected"]}
    assert "budget" in reasons and reasons <= {"framework", "precision", "no_price", "layout", "memory", "limits",
                                               "deadline", "budget"}
    changes = {change["field"]: change["to"] for row in answer["relaxations"] for change in row["changes"]}
    assert changes["constraints.budget_usd"] > 100
    again = ask(service, model="meta-llama/Llama-3.1-70B-Instruct", training_tokens=1e9, deadline_hours=24,
                budget_usd=changes["constraints.budget_usd"] * 1.0001)
    assert again["feasible"]


def test_gpus_that_are_too_small_are_sized_all_the_same(service):
    answer = ask(service, model="70B", gpu="h100-sxm", gpu_count=1)
    memory = answer["plan"]["memory"]
    assert not answer["feasible"] and not memory["fits"] and memory["headroom_gib"] < 0
    assert answer["rejected"][0]["reason"] == "memory" and answer["payments"] == []
    assert ask(service, model="70B", gpu="h100-sxm", gpu_count=1, method="qlora")["feasible"]


@pytest.mark.parametrize("question, fields", [
    ({"training": {"sequence_tokens": 131073}}, {"training.sequence_tokens": "at most 131072 tokens"}),
    ({"gpu": "h100-sxm", "training": {"sharding": "zero3"}, "layout": {"gpu_count": 8, "data_parallel": 3}},
     {"layout.data_parallel": "give 8"}),
    ({"layout": {"tensor_parallel": 64}}, {"layout.tensor_parallel": "32 attention heads: give at most"}),
    ({"layout": {"tensor_parallel": 3}}, {"layout.tensor_parallel": "does not divide the 32 attention heads"}),
    ({"layout": {"pipeline_parallel": 64}}, {"layout.pipeline_parallel": "32 layers"}),
    ({"layout": {"expert_parallel": 2}}, {"layout.expert_parallel": "no experts: leave it out"}),
    ({"model": MIXTRAL, "layout": {"expert_parallel": 3}}, {"layout.expert_parallel": "does not divide the 8 experts"}),
    ({"layout": {"context_parallel": 3}}, {"layout.context_parallel": "does not divide a sequence of 4096"}),
    ({"layout": {"pipeline_parallel": 1, "virtual_stages": 2}}, {"layout.virtual_stages": "give 1, or more stages"}),
    ({"layout": {"gpu_count": 6, "tensor_parallel": 4}}, {"layout.gpu_count": "groups of 4"}),
    ({"layout": {"gpu_count": 8, "tensor_parallel": 32, "data_parallel": 3}},
     {"layout.gpu_count": "groups of 32", "layout.data_parallel": "32 GPUs: leave it out"}),
    ({"layout": {"gpu_count": 128}, "constraints": {"max_gpus": 100}}, {"constraints.max_gpus": "128 GPUs"}),
    ({"training": {"method": "lora", "lora_rank": 0}}, {"training.lora_rank": "give 1 to 4096"}),
    ({"model": "meta-llama/Llama-3.2-1B-Instruct", "training": {"method": "lora", "lora_rank": 4096}},
     {"training.lora_rank": "at most 2048"}),
    ({"training": {"lora_rank": 8, "adapter_targets": "attention"}},
     {"training.lora_rank": "ask for lora or qlora", "training.adapter_targets": "ask for lora or qlora"}),
    ({"training": {"method": "lorra", "lora_rank": 8}}, {"training.method": "full, pretrain, lora, qlora"}),
    ({"training": {"optimizer": "adamm", "precision": "fp4", "recompute": "some", "sharding": "zero4"}},
     {"training.optimizer": "adamw, adamw_8bit", "training.precision": "bf16_mixed", "training.recompute": "selective",
      "training.sharding": "zero3"}),
    ({"gpu": "h1000"}, {"gpu": "did you mean"}), ({"gpu": "h100"}, {"gpu": "h100-pcie, h100-sxm"}),
    ({"model": "no/such"}, {"model": "no model"}),
    ({"gpu": "h100-sxm", "constraints": {"exclude_gpus": ["h100"]}}, {"constraints.exclude_gpus": "h100-sxm"}),
    ({"gpu": "h100-sxm", "constraints": {"gpus": ["h100"]}}, {"gpu": "gpu or constraints.gpus"}),
    ({"workload": {"deadline_hours": 24}, "constraints": {"budget_usd": 10}},
     {"training.training_tokens": "needs the tokens"}),
    ({"training": {"training_tokens": 1e9}, "workload": {"deadline_hours": 0}, "constraints": {"budget_usd": -1}},
     {"workload.deadline_hours": "give 0.001 to", "constraints.budget_usd": "give 0.01 to"}),
    ({"training": {"packed": False}}, {"training.mean_document_tokens": "how long documents are"}),
    ({"training": {"packed": False, "mean_document_tokens": 5000}}, {"training.mean_document_tokens": "4096 tokens"}),
    ({"training": {"batch_sequences": 10, "micro_batch_sequences": 3}},
     {"training.micro_batch_sequences": "10 sequences"}),
    ({"training": {"micro_batch_sequences": 1.5}}, {"training.micro_batch_sequences": "whole number"}),
    ({"training": {"training_tokens": 1e19, "sequence_tokens": 1e99}},
     {"training.training_tokens": "give 1 to", "training.sequence_tokens": "give 1 to"}),
    ({"estimator": "roofline", "article": {"optimizer_factor": 3}}, {"estimator": "ask for article"}),
    ({"model": "no/such", "gpu": "h1000", "training": {"optimizer": "adamm", "method": "lora", "lora_rank": 0},
      "layout": {"gpu_count": 7, "data_parallel": 2}, "workload": {"deadline_hours": 0},
      "constraints": {"budget_usd": -5, "regions": ["mars"], "exclude_gpus": ["h10000"]}},
     {"model": "", "gpu": "", "training.optimizer": "", "training.lora_rank": "", "layout.data_parallel": "",
      "workload.deadline_hours": "", "constraints.budget_usd": "", "constraints.regions": "",
      "constraints.exclude_gpus": ""}),
])
def test_all_that_is_wrong_is_named_with_what_would_be_right(service, question, fields):
    found = refusals(service, {"model": LLAMA} | question)
    for field, words in fields.items():
        assert field in found and words in found[field], found
    assert set(found) <= set(fields) | {"training.training_tokens"}, found


def test_numbers_that_are_none_are_refused(service):
    body = '{"model": "7B", "training": {"training_tokens": NaN}}'
    assert service.call("POST", "/v1/training", body=body.encode(), headers={
        "Content-Type": "application/json"}).status == 400
    answer = service.call("GET", "/v1/training", query={"model": "7B", "training_tokens": "nan"})
    assert answer.status in (400, 422) and answer.json["errors"][0]["field"] == "training.training_tokens"


def test_lists_of_the_answer_are_rows(service):
    question = {"model": LLAMA, **H100S, "training_tokens": 1e9}
    answer = service.call("GET", "/v1/training", query=question).json
    for name in ("payments", "rejected"):
        asked = question if name == "payments" else {"model": LLAMA, "as_of": AS_OF}
        rows = service.call("GET", "/v1/training.csv", query=asked | {"rows": name}).text.splitlines()
        expected = answer if name == "payments" else service.call("GET", "/v1/training", query=asked).json
        assert len(rows) == 1 + len(expected[name]) > 1
    assert service.call("GET", "/v1/training.csv", query=question | {"rows": "plan"}).status == 422


def test_a_size_alone_is_enough_and_says_so(service):
    answer = ask(service, model="7B", gpu="a100-80gb-sxm", gpu_count=8)
    assert answer["model"]["architecture_assumed"] and any("size of the model" in text for text in answer["assumptions"])
    assert not any("size of the model" in text for text in ask(service, **H100S)["assumptions"])


# As many interruptions as let no checkpoint be written: the run does not end, which is not for want of a price.
def test_what_never_ends_is_told(service):
    answer = ask(service, model=LLAMA, gpu="h100-sxm", gpu_count=8, training_tokens=1e9,
                 interruptions_per_instance_hour=60, restart_minutes=10000, checkpoint_gb_per_s=0.001)
    row, = answer["rejected"]
    assert not answer["feasible"] and answer["plan"]["time"]["hours"]["value"] is None
    assert (row["gpu"], row["reason"], row["needed"]) == ("h100-sxm", "deadline", None)
