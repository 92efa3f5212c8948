"""What the benchmark `forward` programs, how it asks the kernel, and what it makes of it."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from benchmarks.forward import objects
from benchmarks.forward.contestants import Herald, KubeProxy
from benchmarks.forward.data_path import Rates, ratio, ways
from benchmarks.forward.dialler import connections_per_second
from benchmarks.forward.dialling import Changes, Unanswered, await_all, await_change, dial
from benchmarks.forward.measure import Trials, data_path_rows, speed_rows
from benchmarks.forward.site import ENDPOINTS, OPEN_PORT
from benchmarks.forward.trial import Result
from lab.addressing import SERVICES_IPV4

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((_HERE, 0)) as made:
        yield made


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def test_ten_thousand_services_have_addresses_and_endpoints_of_their_own() -> None:
    numbers = range(10_001)
    services = {objects.cluster_ip(number) for number in numbers}
    endpoints = {each for number in numbers for each in _endpoints(number)}
    assert (len(services), len(endpoints)) == (10_001, 30_003)
    assert all(ip_address(each) in SERVICES_IPV4 for each in services)
    assert all(ip_address(each) in ENDPOINTS for each in endpoints)


def _endpoints(number: int) -> list[str]:
    return [address for each in objects.endpoint_slice(number)["endpoints"] for address in each["addresses"]]


def test_a_slice_belongs_to_its_service_by_name_and_port_name() -> None:
    service, endpoints = objects.service(7), objects.endpoint_slice(7)
    assert endpoints["metadata"]["labels"]["kubernetes.io/service-name"] == service["metadata"]["name"]
    assert endpoints["ports"][0]["name"] == service["spec"]["ports"][0]["name"]
    assert endpoints["ports"][0]["port"] == OPEN_PORT


def test_the_direct_way_leads_to_an_endpoint_of_the_service_that_the_others_dial() -> None:
    direct, herald, kube_proxy = ways(10, [Herald(), KubeProxy()])
    assert direct.web == (_endpoints(10)[0], OPEN_PORT)
    assert herald.web == kube_proxy.web == (objects.cluster_ip(10), objects.PORT)
    assert direct.client == herald.client != kube_proxy.client


def test_a_dial_tells_taken_from_refused(listener: socket.socket) -> None:
    port = _port(listener)
    assert dial(_HERE, port) is True
    listener.close()
    assert dial(_HERE, port) is False


def test_changes_are_seen_where_they_have_come_and_nowhere_else(listener: socket.socket) -> None:
    changes = Changes(_port(listener))
    changes.expect(_HERE, answers=True)
    changes.expect("127.0.0.2", answers=True)
    changes.look()
    assert set(changes.seen) == {_HERE}
    assert changes.pending == 1


def test_what_never_comes_is_told_with_its_address(listener: socket.socket) -> None:
    port = _port(listener)
    await_all([_HERE], port, patience=0)
    with pytest.raises(Unanswered, match=r"127\.0\.0\.2"):
        await_all([_HERE, "127.0.0.2"], port, patience=0)
    await_change(_HERE, port, answers=True, patience=10)
    with pytest.raises(Unanswered, match=_HERE):
        await_change(_HERE, port, answers=False, patience=0)


def test_connections_that_are_refused_do_not_count(listener: socket.socket) -> None:
    port = _port(listener)
    listener.close()
    assert connections_per_second(_HERE, port, 0.01) == 0


def _result(services: int, **fields: float) -> Result:
    values = {"cold_s": 2.0, "rss": 100_000_000, "peak_rss": 1, "idle_cpu": 0.01} | fields
    return Result(services, change_s=[0.05] * 98 + [0.07, 0.5], **values)  # type: ignore[arg-type]


def test_rows_of_speed_hold_us_against_kube_proxy_and_the_targets_of_that_size() -> None:
    ours, peer = _result(10_000, cold_s=4.0), _result(10_000, cold_s=8.0, rss=50_000_000)
    ours.rolling_s, peer.rolling_s = [0.1, 0.9], [3.0]
    rows = {row.name: row for row in speed_rows(Trials(ours, peer, _result(10_000, cold_s=5.0)))}
    assert rows["forward.10000.cold_s"].peer == {"kube-proxy": 8.0}
    ratio = rows["forward.10000.cold_ratio_kube_proxy"]
    assert (ratio.value, ratio.target, ratio.holds) == (0.5, 0.4, False)
    assert (rows["forward.10000.change_p99_ms"].value, rows["forward.10000.change_p99_ms"].holds) == (70.0, False)
    assert (rows["forward.10000.rss_ratio_kube_proxy"].value, rows["forward.10000.rolling_worst_s"].value) == (
        2.0,
        0.9,
    )
    assert rows["forward.10000.rolling_worst_s"].holds is True


def test_small_sizes_have_no_targets_and_no_rolling_update() -> None:
    rows = speed_rows(Trials(_result(100), _result(100), _result(100)))
    assert all(row.target is None for row in rows)
    assert not [row for row in rows if "rolling" in row.name]


def test_rows_of_the_data_path_are_ratios_that_must_not_fall_below_kube_proxy() -> None:
    rates = {
        "direct": Rates([200, 2, 1998], [4e9]),
        "Herald": Rates([100, 1, 999], [2e9]),
        "kube-proxy": Rates([80, 1, 799.2], [4e9]),
    }
    rows = {row.name: row for row in data_path_rows(10, [rates])}
    assert (rows["forward.10.cps_ratio"].value, rows["forward.10.cps_ratio"].holds) == (1.25, True)
    assert (rows["forward.10.throughput_ratio"].value, rows["forward.10.throughput_ratio"].holds) == (0.5, False)
    assert rows["forward.10.cps_ratio_direct"].value == 0.5
    assert rows["forward.10.cps_ratio_direct"].peer == {"kube-proxy": 0.4}


def test_rates_are_compared_turn_by_turn_and_both_placements_count_alike() -> None:
    slow_then_fast, always_half = [[10.0, 100.0, 1000.0]], [[5.0, 50.0, 500.0]]
    assert ratio(slow_then_fast, always_half) == pytest.approx(2)
    favoured, hampered = [[4.0], [1.0]], [[1.0], [4.0]]
    assert ratio(favoured, hampered) == pytest.approx(1)
