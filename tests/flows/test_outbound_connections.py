"""Zirkel and its libraries speak to nobody but the configured upstreams: seen from the kernel, by strace."""

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.flows.harness import Stack, Upstream, ask, ask_streamed, descendants, wait_for
from tests.flows.service_files import ServiceFolder

pytestmark = pytest.mark.flow

CALLS = "trace=connect,sendto,sendmsg,sendmmsg"
_ADDRESS = re.compile(
    r"sa_family=AF_INET, sin_port=htons\((?P<port4>\d+)\), sin_addr=inet_addr\(\"(?P<ip4>[^\"]+)\"\)"
    r"|sa_family=AF_INET6, sin6_port=htons\((?P<port6>\d+)\).*?inet_pton\(AF_INET6, \"(?P<ip6>[^\"]+)\""
)
_FAMILY = re.compile(r"sa_family=AF_INET6?\b")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a process of ours turned to."""

    address: str
    port: int


def read_destinations(trace: str) -> set[Destination]:
    """Return every internet address in a trace of ``strace``; fail if one cannot be read."""
    found = set()
    for line in trace.splitlines():
        addresses = list(_ADDRESS.finditer(line))
        assert len(addresses) == len(_FAMILY.findall(line)), f"cannot read this line of strace: {line}"
        for match in addresses:
            address, port = match["ip4"] or match["ip6"], match["port4"] or match["port6"]
            found.add(Destination(address, int(port)))
    return found


def _strace_works(folder: Path) -> bool:
    if shutil.which("strace") is None:
        return False
    command = ["strace", "-f", "--seccomp-bpf", "-e", CALLS, "-o", str(folder / "probe"), "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def traced(tmp_path: Path, own_upstream: Upstream) -> Iterator[tuple[Stack, Path]]:
    """A stack under strace, and strace's file."""
    if not _strace_works(tmp_path):
        pytest.skip("strace is not installed, or ptrace is not permitted here")
    file = tmp_path / "strace.txt"
    started = Stack.start(tmp_path / "stack", prefix=("strace", "-f", "--seccomp-bpf", "-e", CALLS, "-o", str(file)))
    try:
        started.set_upstream("alpha", own_upstream)
        yield started, file
    finally:
        # strace passes no signal on: its child, the supervisor, is told itself.
        for supervisor in descendants(started.process.pid)[:1]:
            os.kill(supervisor, signal.SIGTERM)
        started.stop()


def test_nothing_is_sent_to_any_address_but_the_configured_upstreams(
    traced: tuple[Stack, Path], own_upstream: Upstream, service: ServiceFolder
) -> None:
    stack, file = traced
    stack.adopt(service)
    stack.run("eval", service.name, "--trials", "1")
    stack.run("gate", service.name)
    with stack.sdk() as sdk:
        plain, _ = ask(sdk, service.name, "unit-1"), ask_streamed(sdk, service.name, "unit-2")
    exporter = OTLPSpanExporter(
        endpoint=f"http://127.0.0.1:{stack.otlp_port}/v1/traces", headers={"authorization": f"Bearer {stack.key}"}
    )
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("flow").start_as_current_span("work"):
        pass
    provider.shutdown()
    stack.wait_for_spans(plain.trace_id, 2)
    stack.run("status", service.name)
    assert stack.command("traces", "--id", secrets.token_hex(16)).exit_code == 2
    supervisor, *_ = descendants(stack.process.pid)
    os.kill(supervisor, signal.SIGTERM)
    wait_for(lambda: stack.process.poll() is not None, "everything has ended")

    destinations = read_destinations(file.read_text())

    # The upstream by the gateway, and the gateway by the core's experiments: the trace did see what it should see.
    ports = {destination.port for destination in destinations}
    assert ports >= {own_upstream.port, stack.gateway_port}
    assert ports <= {own_upstream.port, stack.gateway_port, stack.core_port}
    assert all(ip_address(destination.address).is_loopback for destination in destinations)


def test_it_listens_on_its_four_ports_of_loopback_and_on_nothing_else(stack: Stack) -> None:
    processes = descendants(stack.process.pid)
    listening = {address for pid in processes for address in _listening_addresses(pid)}
    loopback = "0100007F"
    # gRPC writes loopback as an IPv6 socket does.
    mapped = f"0000000000000000FFFF0000{loopback}"
    ports = (stack.core_port, stack.gateway_port, stack.otlp_port)
    assert listening == {*(f"{loopback}:{port:04X}" for port in ports), f"{mapped}:{stack.otlp_grpc_port:04X}"}


def test_an_address_elsewhere_would_be_seen() -> None:
    trace = (
        '7 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.1")}, 16) = 0\n'
        '7 sendto(3, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), '
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 1\n'
        '7 connect(3, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = -1 ENOENT\n'
    )
    assert read_destinations(trace) == {Destination("192.0.2.1", 53), Destination("2001:db8::1", 443)}


def _listening_addresses(pid: int) -> set[str]:
    """Return what a process listens on, in the kernel's notation. Source: proc(5), /proc/net/tcp."""
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    own = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    found = set()
    for table, listening in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == listening and words[9] in own:
                found.add(words[1])
    return found
