"""What the benchmark `allocate` reads, writes and reports."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.allocate import ceiling, writes
from benchmarks.allocate.contestants import Other
from benchmarks.allocate.measure import Trials, rows
from benchmarks.allocate.services import body, names
from benchmarks.allocate.trial import Result
from benchmarks.allocate.usage import Usage, of_tree, parse
from benchmarks.allocate.watch import served_name
from heraldlb.allocation.requests import request_of
from heraldlb.api.addresspool import parse_pool
from heraldlb.api.serviceaddress import manifest
from heraldlb.api.services import parse_service
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.service_status import assigned
from lab.processes import Process

_METRICS = """\
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="status",verb="PATCH",version="v1"} 40
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="services",scope="resource",subresource="status",verb="PATCH",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="services",scope="cluster",subresource="",verb="WATCH",version="v1"} 7
apiserver_request_total{code="201",component="apiserver",dry_run="",group="events.k8s.io",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 41
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 5
apiserver_request_total{code="201",component="apiserver",dry_run="",group="authorization.k8s.io",resource="subjectaccessreviews",scope="resource",subresource="",verb="POST",version="v1"} 9
apiserver_request_duration_seconds_count{resource="services",subresource="status",verb="PATCH"} 42
"""  # noqa: E501 - as the API server writes it


def _stored(name: str) -> dict[str, Any]:
    """A Service as the API server would store it."""
    service = body(name)
    service["metadata"] |= {"uid": "5e1f", "resourceVersion": "77", "creationTimestamp": "2026-01-01T00:00:00Z"}
    for port in service["spec"]["ports"]:
        port.setdefault("protocol", "TCP")
    return service | {"status": {"loadBalancer": {}}}


def test_the_ceiling_writes_what_herald_writes() -> None:
    raw = _stored("waiting-00001")
    service = parse_service(raw)
    assignments = Assignments()
    pool = {"metadata": {"name": ceiling.POOL}, "spec": {"addresses": ["10.200.0.1-10.200.0.9"]}}
    assignments.replace_pools([parse_pool(pool)])
    outcome = assignments.decide(request_of(service, {})).outcome
    [grant] = outcome.grants
    record = assignments.record_of(grant.address)
    patch = assigned(service, outcome, ceiling.TRANSITION)
    assert record is not None
    assert patch is not None
    assert ceiling.record(raw, str(grant.address)) == manifest(record)
    assert ceiling.status(raw, str(grant.address)) == patch.body


@pytest.mark.parametrize(
    ("ingress", "name"),
    [
        pytest.param([{"ip": "10.200.0.1", "ipMode": "VIP"}], "web", id="with an address"),
        pytest.param([{"hostname": "lb.example.com"}], None, id="with a host name"),
        pytest.param(None, None, id="without an address"),
    ],
)
def test_an_event_shows_an_address_or_does_not(ingress: Any, name: str | None) -> None:
    status = {"loadBalancer": {"ingress": ingress} if ingress else {}}
    field = {"manager": "x", "fieldsV1": {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}}
    metadata = {"name": "web", "namespace": "default", "annotations": {"name": "no"}, "managedFields": [field]}
    service = {"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": {}, "status": status}
    event = json.dumps({"type": "MODIFIED", "object": service}, separators=(",", ":"))
    assert served_name(event.encode()) == name


def test_only_writes_are_counted_whatever_their_answer() -> None:
    found = writes.parse(_METRICS)
    assert found == {"PATCH services/status": 42, "POST events": 41, "PUT leases": 5}
    assert writes.of_events(found) == 41
    assert writes.beside_leases(found) == 83


def test_a_resource_whose_name_begins_like_another_is_another() -> None:
    assert writes.of_events(Counter({"POST eventsources": 3, "PATCH events": 1})) == 1


def test_pools_are_counted_apart_whoever_they_belong_to() -> None:
    counted = Counter(
        {"PATCH addresspools/status": 3, "PUT ipaddresspools": 2, "POST poolings": 1, "PUT services": 5}
    )
    assert writes.of_pools(counted) == 5


def test_usage_is_read_past_a_command_name_with_blanks_and_parentheses() -> None:
    tick = os.sysconf("SC_CLK_TCK")
    stat = f"7 (a) b (c)) S {' '.join(['0'] * 10)} {3 * tick} {tick} 0 0"
    assert parse(stat, "Name:\ta\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n") == Usage(4.0, 2048 * 1024)


def test_a_process_that_has_ended_has_used_time_only() -> None:
    assert parse(f"7 (a) Z {' '.join(['0'] * 12)}", "Name:\ta\n") == Usage(0.0, 0)


def test_the_usage_of_a_running_process_is_found() -> None:
    own = Process.of(os.getpid())
    assert own is not None
    assert of_tree(own).peak_rss > 1_000_000


def _result(services: int, last_s: float, **fields: Any) -> Result:
    counted = Counter(
        {
            "POST events": services,
            "PATCH services/status": 2 * services,
            "PUT leases": 9,
            "PATCH addresspools/status": 7,
        }
    )
    given = {"used": Usage(3.0, 0), "peak_rss": 120_000_000, "writes": counted} | fields
    return Result(services=services, first_s=0.5, last_s=last_s, **given)


def test_rows_of_a_controller_hold_it_against_the_ceiling() -> None:
    steady = [0.01 * number for number in range(1, 101)]
    trials = Trials(_result(1_000, 4.0), _result(5_000, 12.5, steady_s=steady))
    found = {row.name.removeprefix("allocate."): row for row in rows(trials, ceiling=500.0)}
    assert {name: row.value for name, row in found.items()} == {
        "ceiling_ratio": 0.8,
        "rate_5000_per_s": 400.0,
        "rate_1000_per_s": 250.0,
        "steady_p50_ms": 500.0,
        "steady_p99_ms": 990.0,
        "writes_per_service": 2.0,
        "pool_writes": 7,
        "events_per_service": 1.0,
        "cpu_s": 3.0,
        "peak_rss_mb": 120.0,
    }
    assert found["ceiling_ratio"].holds
    assert not found["steady_p50_ms"].holds


def test_names_sort_in_the_order_of_creation() -> None:
    made = names("waiting", 12_000)
    assert made == sorted(made)
    assert len(set(made)) == 12_000


def test_another_controller_is_told_where_and_what_and_whether_it_has_run_before(tmp_path: Path) -> None:
    other = Other("other", ("run", "--fast"), tmp_path / "kubectl")
    first = other.command(tmp_path / "kubeconfig", again=False)
    assert first[0] == "env"
    assert first[-2:] == ["run", "--fast"]
    told = {f"KUBECONFIG={tmp_path}/kubeconfig", f"KUBECTL={tmp_path}/kubectl", "HERALD_BENCH_RANGE=10.200.0.0/16"}
    assert told < set(first)
    assert set(other.command(tmp_path / "kubeconfig", again=True)) - set(first) == {"HERALD_BENCH_PREPARED=1"}
