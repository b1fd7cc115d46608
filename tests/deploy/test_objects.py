"""test_objects.py owns what must be true of every object that the chart renders to: pods keep to the restricted profile,
are probed and bounded, nothing secret is in them, and no pod talks to more than it needs."""
import json
import re
import subprocess

import pytest
from conftest import CHART, FEATURES, RELEASE, name_of, one_of, pod_specs

SELECTED = {"app.kubernetes.io/name": "gpusize", "app.kubernetes.io/instance": RELEASE}
features = pytest.mark.parametrize("values", FEATURES, ids=name_of)


def feature(name):
    return ("-f", CHART / "ci" / f"{name}-values.yaml")


def container_of(objects, kind, name=None):
    return next(spec for found, at, _, spec in pod_specs(objects) if found == kind and name in (None, at))["containers"][0]


# --- pods ---


@features
def test_pods_keep_to_the_restricted_profile(render, values):
    found = 0
    for kind, name, _, spec in pod_specs(render("-f", values)):
        found += 1
        of_pod = spec["securityContext"]
        assert of_pod["runAsNonRoot"] is True and of_pod["runAsUser"] >= 10000, name
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for container in spec["containers"] + spec.get("initContainers", []):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
            assert context["readOnlyRootFilesystem"] is True and "privileged" not in context
            assert not [port for port in container.get("ports", []) if "hostPort" in port]
        for volume in spec.get("volumes", []):
            assert set(volume) - {"name"} <= {"configMap", "emptyDir", "secret", "projected", "persistentVolumeClaim"}, name
    assert found >= 2  # the service, the test


@features
def test_every_container_has_bounds(render, values):
    for kind, name, _, spec in pod_specs(render("-f", values)):
        for container in spec["containers"]:
            assert container["resources"]["requests"]["memory"] and container["resources"]["requests"]["cpu"], name
            assert container["resources"]["limits"]["memory"], name
            assert "cpu" not in container["resources"]["limits"], name
            assert not container["image"].endswith(":latest") and re.search(r":[^/]+$|@sha256:", container["image"])


def test_the_service_is_probed_without_its_database(render):
    container = container_of(render(), "Deployment")
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    for name in paths:
        get = container[f"{name}Probe"]["httpGet"]
        assert get["port"] == "http" and get["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 30


def test_an_end_is_announced_before_it_comes(render):
    objects = render("--set", "settings.drain_s=50", "--set", "preStopSeconds=7")
    spec = one_of(objects, "Deployment")["spec"]["template"]["spec"]
    assert spec["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 7}}
    assert spec["terminationGracePeriodSeconds"] == 67


def test_pods_roll_when_the_settings_change(render):
    def checksum(*flags):
        annotations = one_of(render(*flags), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return annotations["checksum/config"]

    assert checksum() == checksum("--set", "replicaCount=7")
    assert checksum() != checksum("--set", "settings.queue_max=77")


def test_settings_are_what_the_program_reads(render, program, tmp_path):
    """The file itself, given to the real program: large numbers are whole numbers, switches are words."""
    text = one_of(render(*feature("database")), "ConfigMap", f"{RELEASE}-gpusize")["data"]["gpusize.conf"]
    assert "record_max_mib = 1048576\n" in text and "reading_needs_key = on" in text
    file = tmp_path / "gpusize.conf"
    file.write_text(text)
    said = subprocess.run([program, "serve", "--settings-file", file, "--port", "70000"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout
    assert "port" in said and str(file) not in said and len(said.strip().splitlines()) == 1, said


def test_replicas_are_left_to_the_autoscaler(render):
    assert one_of(render(), "Deployment")["spec"]["replicas"] == 2
    objects = render(*feature("scaling"))
    assert "replicas" not in one_of(objects, "Deployment")["spec"]
    scaler = one_of(objects, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "rel-gpusize"}
    by = {metric["type"]: metric for metric in scaler["metrics"]}
    assert by["Resource"]["resource"]["target"]["averageUtilization"] == 60
    assert by["Pods"]["pods"]["target"] == {"type": "AverageValue", "averageValue": "5000"}


def test_updates_and_drained_nodes_leave_enough_processes(render):
    objects = render()
    assert one_of(objects, "Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    budget = one_of(objects, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1 and budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    spread = one_of(objects, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    labels = one_of(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    for selector in [budget["selector"], one_of(objects, "Deployment")["spec"]["selector"]] + [s["labelSelector"] for s in spread]:
        assert selector["matchLabels"].items() <= labels.items()


# --- hosts ---


@features
def test_the_names_that_lead_to_it_are_allowed_hosts(render, values):
    objects = render("-f", values)
    name = one_of(objects, "Service")["metadata"]["name"]
    environment = {one["name"]: one.get("value") for one in container_of(objects, "Deployment")["env"]}
    hosts = environment["GPUSIZE_ALLOWED_HOSTS"].split(",")
    wanted = {"$(POD_IP)", name, f"{name}.sizing", f"{name}.sizing.svc", f"{name}.sizing.svc.cluster.local"}
    for one in objects:
        if one["kind"] == "Ingress":
            wanted |= {rule["host"] for rule in one["spec"]["rules"]}
        if one["kind"] == "HTTPRoute":
            wanted |= set(one["spec"]["hostnames"])
    assert hosts == ["*"] or wanted <= set(hosts)
    assert len(hosts) <= 16


def test_ways_in_lead_to_the_service(render):
    for name in ("ingress", "gateway", "default"):
        objects = render(*feature(name))
        service = one_of(objects, "Service")
        labels = one_of(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        port = service["spec"]["ports"][0]
        assert port["targetPort"] in [one["name"] for one in container_of(objects, "Deployment")["ports"]]
    paths = one_of(render(*feature("ingress")), "Ingress")["spec"]["rules"][0]["http"]["paths"]
    assert paths[0]["backend"]["service"] == {"name": "rel-gpusize", "port": {"name": "http"}}
    route = one_of(render(*feature("gateway")), "HTTPRoute")["spec"]["rules"][0]
    assert route["backendRefs"] == [{"name": "rel-gpusize", "port": 80}]


# --- what is secret ---


@features
def test_nothing_secret_is_in_a_configmap_an_argument_or_plain_environment(render, values):
    objects = render("-f", values)
    assert not [one for one in objects if one["kind"] == "Secret"]
    for one in objects:
        if one["kind"] == "ConfigMap":
            assert not re.search(r"postgres(ql)?://|password|gpusize_[0-9a-f]{12}_", json.dumps(one.get("data", {})), re.I)
    for kind, name, _, spec in pod_specs(objects):
        for container in spec["containers"]:
            words = json.dumps([container.get("command", []), container.get("args", [])])
            assert not re.search(r"postgres|password|\$\(.*(URL|KEY)", words, re.I), name
            for one in container.get("env", []):
                if re.search("URL|PASSWORD|KEY", one["name"].removesuffix("_KEY_FILE")) and one["name"] != "GPUSIZE_UPLOAD_URL":
                    assert set(one["valueFrom"]) == {"secretKeyRef"}, one


def test_each_role_has_its_own_secret(render):
    def secret_of(objects, kind, name):
        by = {one["name"]: one for one in container_of(objects, kind, name)["env"]}
        return by["GPUSIZE_DATABASE_URL"]["valueFrom"]["secretKeyRef"]

    objects = render(*feature("database"))
    assert secret_of(objects, "Deployment", "rel-gpusize") == {"name": "gpusize-database", "key": "url"}
    assert secret_of(objects, "Job", "rel-gpusize-migrate") == {"name": "gpusize-database-owner", "key": "url"}
    objects = render(*feature("imports"))
    assert secret_of(objects, "CronJob", "rel-gpusize-import-azure") == {"name": "gpusize-database-writer", "key": "url"}
    objects = render(*feature("cnpg"))
    assert secret_of(objects, "Deployment", "rel-gpusize") == {"name": "rel-gpusize-db-app", "key": "uri"}


# --- migration ---


def test_the_migration_comes_before_the_pods_of_a_new_version(render):
    job = one_of(render(*feature("database")), "Job")
    annotations = job["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    spec = job["spec"]["template"]["spec"]
    assert spec["containers"][0]["args"] == ["migrate"] and spec["restartPolicy"] == "OnFailure"
    assert spec["serviceAccountName"] == "default"  # the release's is not made yet
    assert spec["containers"][0]["image"] == container_of(render(*feature("database")), "Deployment")["image"]


def test_a_database_of_the_release_is_migrated_when_it_is_there(render):
    objects = render(*feature("cnpg"))
    job = one_of(objects, "Job")
    assert "helm.sh/hook" not in job["metadata"].get("annotations", {})
    later = one_of(render(*feature("cnpg"), "--set", "image.tag=0.2.0"), "Job")
    assert later["metadata"]["name"] != job["metadata"]["name"]  # a Job cannot be changed
    cluster = one_of(objects, "Cluster")
    assert cluster["apiVersion"] == "postgresql.cnpg.io/v1" and cluster["metadata"]["name"] == "rel-gpusize-db"
    assert cluster["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert cluster["spec"]["instances"] == 3 and cluster["spec"]["storage"] == {"size": "20Gi", "storageClass": "fast"}
    assert cluster["spec"]["bootstrap"]["initdb"]["database"] == "gpusize"
    assert cluster["spec"]["monitoring"] == {"enablePodMonitor": True}


def test_without_a_database_there_is_none(render):
    objects = render()
    assert not [one for one in objects if one["kind"] in ("Job", "Cluster")]
    assert "DATABASE" not in json.dumps(objects)


# --- network ---


def policies(objects):
    return [one for one in objects if one["kind"] == "NetworkPolicy"]


def selects(policy, labels):
    return policy["spec"]["podSelector"].get("matchLabels", {}).items() <= labels.items()


@features
def test_every_pod_is_denied_what_nobody_allowed(render, values):
    objects = render("-f", values)
    for kind, name, labels, _ in pod_specs(objects):
        denying = [one for one in policies(objects) if selects(one, labels)
                   and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}]
        assert [one for one in denying if not one["spec"].get("ingress") and not one["spec"].get("egress")], name
        assert len(denying) >= 2, f"{name}: what it may do is not said"
    if [one for one in objects if one["kind"] == "Cluster"]:
        assert [one for one in policies(objects) if selects(one, {"cnpg.io/cluster": "rel-gpusize-db"})]


@features
def test_only_the_service_is_reached_and_only_what_is_needed(render, values):
    objects = render("-f", values)
    ports = {}
    for one in policies(objects):
        component = one["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
        if component is None:
            continue
        if component != "server":
            assert not one["spec"].get("ingress"), component
        else:
            assert [rule["ports"] for rule in one["spec"]["ingress"]] == [[{"protocol": "TCP", "port": 8080}]]
            assert all(rule["from"] for rule in one["spec"]["ingress"])
        ports[component] = {port["port"] for rule in one["spec"].get("egress", []) for port in rule["ports"]}
        assert all(rule.get("ports") for rule in one["spec"].get("egress", []))
    database = "Cluster" in {one["kind"] for one in objects} or "DATABASE_URL" in json.dumps(objects)
    assert ports["server"] == ({53, 5432} if database else set())
    assert ports.get("migration", {53, 5432}) == {53, 5432}
    for component in ("calibration", "agent"):
        assert ports.get(component, {53, 8080}) == {53, 8080}
    assert ports.get("import", {53, 443, 5432}) == {53, 443, 5432}
    assert ports["test"] == {53, 8080}


def test_the_migration_may_reach_the_database_before_the_release_is_there(render):
    """A policy of the release comes after its hooks; on updates the former one denies everything."""
    allowed = one_of(render(*feature("database")), "NetworkPolicy", "rel-gpusize-migration")
    job = one_of(render(*feature("database")), "Job")
    assert allowed["metadata"]["annotations"]["helm.sh/hook"] == job["metadata"]["annotations"]["helm.sh/hook"]
    weights = [int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in (allowed, job)]
    assert weights[0] < weights[1]


def test_policies_can_be_switched_off(render):
    assert not policies(render("--set", "networkPolicy.enabled=false"))


# --- calibration ---


@pytest.mark.parametrize("mode", ["cronjob", "job"])
def test_a_calibration_takes_gpus_as_workloads_do_and_ends(render, mode):
    found = [one for one in pod_specs(render(*feature(f"calibration-{mode}"))) if "-calibrate-" in one[1]]
    assert len(found) == 2
    by_kind = {labels["gpusize/kind"]: spec for _, _, labels, spec in found}
    h100, a100 = by_kind["h100"], by_kind["a100"]
    assert h100["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert a100["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 8
    assert h100["runtimeClassName"] == "nvidia" and "runtimeClassName" not in a100
    assert h100["restartPolicy"] == "Never"
    assert h100["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    terms = h100["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [term["matchExpressions"][0]["key"] for term in terms] == [
        "nvidia.com/gpu.present", "feature.node.kubernetes.io/pci-10de.present"]
    assert h100["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert len(a100["tolerations"]) == 2
    container = h100["containers"][0]
    assert container["image"].endswith("-probe") and container["command"] == ["gpusize-calibrate"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["GPUSIZE_UPLOAD_URL"] == "http://rel-gpusize.sizing.svc:80" and environment["GPUSIZE_POOL"] == "h100"
    assert "GPUSIZE_INTERVAL_S" not in environment
    key = next(volume for volume in h100["volumes"] if volume["name"] == "key")
    assert key["secret"]["secretName"] == "gpusize-calibration"
    assert environment["GPUSIZE_UPLOAD_KEY_FILE"] == "/etc/gpusize/key/key"


def test_calibrations_have_times_of_their_own(render):
    schedules = {one["metadata"]["name"]: one["spec"]["schedule"] for one in render(*feature("calibration-cronjob"))
                 if one["kind"] == "CronJob"}
    assert schedules == {"rel-gpusize-calibrate-h100": "17 3 * * 0", "rel-gpusize-calibrate-a100": "@monthly"}


def test_a_daemonset_measures_every_node_and_takes_no_gpu(render):
    objects = render(*feature("calibration-daemonset"))
    sets = [one for one in objects if one["kind"] == "DaemonSet"]
    assert len(sets) == 2
    for one in sets:
        container = one["spec"]["template"]["spec"]["containers"][0]
        assert "nvidia.com/gpu" not in json.dumps(container["resources"])
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert environment["NVIDIA_VISIBLE_DEVICES"] == "all" and environment["GPUSIZE_INTERVAL_S"] == "604800"
        assert one["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1}
        assert one["spec"]["selector"]["matchLabels"].items() <= one["spec"]["template"]["metadata"]["labels"].items()
    selectors = [json.dumps(one["spec"]["selector"], sort_keys=True) for one in sets]
    assert len(set(selectors)) == 2  # else they would fight over each other's pods


# --- agents ---


def agent_of(render, *flags):
    objects = render(*feature("agents"), *flags)
    return one_of(objects, "DaemonSet"), one_of(objects, "NetworkPolicy", "rel-gpusize-agent")


def test_an_agent_on_every_node_with_gpus_reports_and_takes_none(render):
    agents, _ = agent_of(render)
    spec = agents["spec"]["template"]["spec"]
    container = spec["containers"][0]
    assert container["args"] == ["monitor", "--report-interval", "30"]
    assert "nvidia.com/gpu" not in json.dumps(container["resources"])
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["GPUSIZE_REPORT_TO"] == "http://rel-gpusize.sizing.svc:80" and environment["GPUSIZE_INTERVAL"] == "10"
    assert environment["GPUSIZE_REPORT_KEY_FILE"] == "/etc/gpusize/key/key" and environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert spec["volumes"][0]["secret"]["secretName"] == "gpusize-agents" and spec["runtimeClassName"] == "nvidia"
    assert "nvidia.com/gpu.present" in json.dumps(spec["affinity"])
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert agents["spec"]["selector"]["matchLabels"].items() <= agents["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("url,port", [("https://gpus.example.org", 443), ("http://gpus.example.org", 80),
                                      ("https://gpus.example.org:8443/", 8443)])
def test_agents_of_another_service_may_reach_it(render, url, port):
    agents, policy = agent_of(render, "--set", f"agents.url={url},agents.existingSecret=")
    container = agents["spec"]["template"]["spec"]["containers"][0]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["GPUSIZE_REPORT_TO"] == url and "GPUSIZE_REPORT_KEY_FILE" not in environment
    assert "volumes" not in agents["spec"]["template"]["spec"]
    ports = [one["port"] for rule in policy["spec"]["egress"] for one in rule["ports"]]
    assert ports == [53, 53, port, 8080]


# --- imports, tests, watching ---


def test_imports_run_at_their_times(render):
    jobs = [one for one in render(*feature("imports")) if one["kind"] == "CronJob"]
    assert {one["metadata"]["name"]: one["spec"]["schedule"] for one in jobs} == {
        "rel-gpusize-import-azure": "5 2 * * *", "rel-gpusize-import-aws": "35 2 * * 1"}
    assert all(one["spec"]["concurrencyPolicy"] == "Forbid" for one in jobs)
    aws = container_of(jobs, "CronJob", "rel-gpusize-import-aws")
    assert aws["args"] == ["import", "skypilot", "--fetch", "--provider", "aws"]


def test_a_release_can_be_tested(render):
    pod = one_of(render(), "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    asked = [container["args"][-1] for container in pod["spec"]["containers"]]
    assert {url.split("/", 3)[3].split("?")[0] for url in asked} == {"readyz", "v1/memory"}


def test_prometheus_finds_the_service(render):
    objects = render(*feature("monitoring"))
    monitor, service = one_of(objects, "ServiceMonitor")["spec"], one_of(objects, "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "gpusize"  # the job that the rules are about
    assert monitor["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_alerts_carry_their_runbooks(render):
    groups = one_of(render(*feature("monitoring")), "PrometheusRule")["spec"]["groups"]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    assert len(alerts) > 15 and "GpusizePricesOld" not in alerts  # which the values disable
    for name, rule in alerts.items():
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/operations.md#{name.lower()}")
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["labels"]["team"] == "platform"
    assert [rule for group in groups for rule in group["rules"] if "record" in rule]


def test_the_dashboard_comes_whole(render):
    config = one_of(render(*feature("monitoring")), "ConfigMap", "rel-gpusize-dashboard")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["gpusize.json"]) == json.loads((CHART / "files" / "dashboard.json").read_text())
