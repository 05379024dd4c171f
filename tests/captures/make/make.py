"""Make the captures of this directory anew: real exporters, real export packets, traffic of our own.

    sudo python3 tests/captures/make/make.py [DIRECTORY]

Needs Linux, root, and Debian's softflowd, pmacct, openvswitch-switch, tcpdump and iproute2. Takes a minute. Three
network namespaces are made and removed again; nothing leaves them:

    clients  --veth--  exporters: Open vSwitch bridge (userspace datapath)  --veth--  servers
                       softflowd and pmacctd listen on the clients' port of the bridge;
                       each exporter sends from 10.99.0.N to 10.99.1.N, a veth pair where tcpdump listens
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import traffic

HERE = Path(__file__).resolve().parent
CLIENTS, EXPORTERS, SERVERS = (f"flowfast-{role}" for role in ("clients", "exporters", "servers"))
CLIENT_MAC, SERVER_MAC = "02:00:5e:00:00:0a", "02:00:5e:00:00:0b"
LISTEN_ON = "to-clients"  # the interface that softflowd and pmacctd watch
BRIDGE = "br0"

SOFTFLOWD_TIMEOUTS = ("maxlife=8", "expint=4", "udp=6", "icmp=4", "tcp.fin=3", "tcp.rst=3", "tcp=10", "general=6")
NFPROBE_TIMEOUTS = "tcp=10:tcp.rst=3:tcp.fin=3:udp=6:icmp=4:general=6:maxlife=8:expint=4"

SOFTFLOWD = {
    "softflowd-v1": "-v 1",
    "softflowd-v5": "-v 5",
    "softflowd-v9": "-v 9",
    "softflowd-v9-sampled": "-v 9 -s 8 -T ether",
    "softflowd-ipfix": "-v 10 -A milli",
    "softflowd-ipfix-biflow": "-v 10 -A micro -b -T vlan",
    "softflowd-ipfix-sysuptime": "-v 10",
}
NFPROBE_KEYS = "src_host, dst_host, src_port, dst_port, proto, tos, src_as, dst_as, src_mask, dst_mask"
NFPROBE = {
    "pmacct-v5": {"nfprobe_version": "5", "nfprobe_engine": "3:7", "aggregate": NFPROBE_KEYS},
    "pmacct-v5-sampled": {"nfprobe_version": "5", "nfprobe_engine": "3:8", "aggregate": NFPROBE_KEYS, "sampling_rate": "8"},
    "pmacct-v9": {"nfprobe_version": "9", "nfprobe_engine": "9001", "aggregate": f"{NFPROBE_KEYS}, src_mac, dst_mac, vlan"},
    "pmacct-v9-sampled": {"nfprobe_version": "9", "nfprobe_engine": "9002", "aggregate": NFPROBE_KEYS, "sampling_rate": "8"},
    "pmacct-ipfix": {"nfprobe_version": "10", "nfprobe_engine": "10001", "aggregate": f"{NFPROBE_KEYS}, src_mac, dst_mac, vlan"},
    "pmacct-ipfix-sampled": {
        "nfprobe_version": "10",
        "nfprobe_engine": "10002",
        "aggregate": NFPROBE_KEYS,
        "sampling_rate": "8",
        "nfprobe_tstamp_usec": "true",
    },
}
OPEN_VSWITCH = {
    "openvswitch-v5": ("netflow", "NetFlow", "active_timeout=8", "engine_id=5", "engine_type=1"),
    "openvswitch-ipfix": (
        *("ipfix", "IPFIX", "sampling=40", "obs_domain_id=2000", "obs_point_id=77"),
        *("cache_active_timeout=8", "cache_max_flows=2000"),
    ),
    "openvswitch-sflow": ("sflow", "sFlow", "agent=exports", "sampling=8", "polling=10", "header=80"),
}
# `pmacctd` as an autonomous-system and prefix-length oracle of its own: without it both are zero in every record.
NETWORKS = "64500,192.0.2.0/24\n64501,198.51.100.0/26\n64502,2001:db8:a::/48\n64503,2001:db8:b::/64\n"


@dataclass
class Exporter:
    name: str
    source: str
    target: str
    port: int


def numbered(names: list[str]) -> dict[str, Exporter]:
    return {
        name: Exporter(name, f"10.99.0.{n}", f"10.99.1.{n}", 6343 if "sflow" in name else 4739 if "ipfix" in name else 2055)
        for n, name in enumerate(names, 1)
    }


def run(*command: str, namespace: str | None = None) -> None:
    prefix = ("ip", "netns", "exec", namespace) if namespace else ()
    subprocess.run((*prefix, *command), check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def running(*command: str, namespace: str, ready: str = "", environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen]:
    """A program in a namespace, ended by SIGTERM; with `ready`, wait until it has printed that."""
    process = subprocess.Popen(
        ("ip", "netns", "exec", namespace, *command),
        stdout=subprocess.PIPE if ready else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if ready else subprocess.DEVNULL,
        text=True,
        env=os.environ | (environment or {}),
    )
    try:
        while ready and ready not in (line := process.stdout.readline()):
            if not line:
                raise RuntimeError(f"{command[0]} ended early")
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def namespaces() -> Iterator[None]:
    names = (CLIENTS, EXPORTERS, SERVERS)
    for name in names:
        run("ip", "netns", "add", name)
    try:
        yield
    finally:
        for name in names:
            run("ip", "netns", "delete", name)


def wire_up(exporters: list[Exporter]) -> None:
    """Addresses, routes and links; no segmentation or checksum offload, as the userspace datapath cannot finish them."""
    clients, servers = (*traffic.CLIENTS_V4, *traffic.CLIENTS_V6), (*traffic.SERVERS_V4, *traffic.SERVERS_V6)
    ends = (
        (CLIENTS, "to-servers", LISTEN_ON, CLIENT_MAC, clients, ("198.51.100.0/24", "2001:db8:b::/64")),
        (SERVERS, "to-clients", "to-servers", SERVER_MAC, servers, ("192.0.2.0/24", "2001:db8:a::/64")),
    )
    for namespace, inside, outside, mac, addresses, routes in ends:
        run("ip", "link", "add", inside, "address", mac, "netns", namespace, "type", "veth", "peer", "name", outside, "netns", EXPORTERS)
        run("ip", "link", "set", outside, "up", namespace=EXPORTERS)
        run("ip", "link", "set", "lo", "up", namespace=namespace)
        for address in addresses:
            run(
                "ip",
                "address",
                "add",
                f"{address}/{64 if ':' in address else 24}",
                *(["nodad"] if ":" in address else []),
                "dev",
                inside,
                namespace=namespace,
            )
        run("ip", "link", "set", inside, "up", namespace=namespace)
        for route in routes:
            run("ip", "route", "add", route, "dev", inside, namespace=namespace)
        run(sys.executable, str(HERE / "offload.py"), inside, namespace=namespace)
    run("ip", "link", "set", "lo", "up", namespace=EXPORTERS)
    run("ip", "link", "add", "exports", "type", "veth", "peer", "name", "nowhere", namespace=EXPORTERS)
    for end in ("exports", "nowhere"):
        run("ip", "link", "set", end, "up", namespace=EXPORTERS)
    for exporter in exporters:
        run("ip", "address", "add", f"{exporter.source}/32", "dev", "exports", namespace=EXPORTERS)
        run("ip", "route", "add", exporter.target, "dev", "exports", "src", exporter.source, namespace=EXPORTERS)
        run("ip", "neighbour", "add", exporter.target, "lladdr", "02:00:5e:00:00:63", "dev", "exports", namespace=EXPORTERS)


@contextlib.contextmanager
def bridge(directory: Path, exporters: list[Exporter]) -> Iterator[None]:
    """Open vSwitch with the userspace datapath, which needs no kernel module."""
    environment = {"OVS_RUNDIR": str(directory), "OVS_DBDIR": str(directory), "OVS_LOGDIR": str(directory)}
    database, control = directory / "conf.db", f"unix:{directory}/db.sock"
    run("ovsdb-tool", "create", str(database), "/usr/share/openvswitch/vswitch.ovsschema")
    server = ("ovsdb-server", str(database), f"--remote=punix:{directory}/db.sock", "--log-file")
    switch = ("ovs-vswitchd", control, "--log-file")
    with running(*server, namespace=EXPORTERS, environment=environment):
        wait_for(directory / "db.sock")
        run("ovs-vsctl", f"--db={control}", "--no-wait", "init", namespace=EXPORTERS)
        with running(*switch, namespace=EXPORTERS, environment=environment):
            control_command = ("ovs-vsctl", f"--db={control}")
            run(*control_command, "add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev", namespace=EXPORTERS)
            for port in (LISTEN_ON, "to-servers"):
                run(*control_command, "add-port", BRIDGE, port, namespace=EXPORTERS)
            for exporter in exporters:
                column, table, *settings = OPEN_VSWITCH[exporter.name]
                target = f'targets="{exporter.target}:{exporter.port}"'
                create = ("--", "--id=@x", "create", table, target, *settings)
                run(*control_command, "--", "set", "bridge", BRIDGE, f"{column}=@x", *create, namespace=EXPORTERS)
            yield
            time.sleep(9)  # let the caches expire
            run(*control_command, "del-br", BRIDGE, namespace=EXPORTERS)
            time.sleep(1)


def wait_for(path: Path, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear")
        time.sleep(0.05)


def softflowd(exporter: Exporter, directory: Path) -> tuple[str, ...]:
    timeouts = [word for timeout in SOFTFLOWD_TIMEOUTS for word in ("-t", timeout)]
    files = ("-p", str(directory / f"{exporter.name}.pid"), "-c", str(directory / f"{exporter.name}.ctl"))
    target = ("-n", f"{exporter.target}:{exporter.port}")
    return ("softflowd", "-d", "-6", "-i", LISTEN_ON, *target, *SOFTFLOWD[exporter.name].split(), *timeouts, *files)


def pmacctd(exporter: Exporter, directory: Path) -> tuple[str, ...]:
    settings = {
        "daemonize": "false",
        "pcap_interface": LISTEN_ON,
        "plugins": "nfprobe",
        "networks_file": str(directory / "networks"),
        "pmacctd_as": "file",
        "pmacctd_net": "file",
        "nfprobe_receiver": f"{exporter.target}:{exporter.port}",
        "nfprobe_source_ip": exporter.source,
        "nfprobe_timeouts": NFPROBE_TIMEOUTS,
        "nfprobe_direction": "in",
        "nfprobe_ifindex": "42",
        **NFPROBE[exporter.name],
    }
    path = directory / f"{exporter.name}.conf"
    path.write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    return ("pmacctd", "-f", str(path))


def main(target: Path) -> None:
    exporters = numbered([*SOFTFLOWD, *NFPROBE, *OPEN_VSWITCH])
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (directory / "networks").write_text(NETWORKS)
        stack.enter_context(namespaces())
        wire_up(list(exporters.values()))
        for exporter in exporters.values():
            capture = directory / f"{exporter.name}.pcap"
            tcpdump = ("tcpdump", "-i", "exports", "-s", "0", "-U", "-w", str(capture), f"udp and src host {exporter.source}")
            stack.enter_context(running(*tcpdump, namespace=EXPORTERS, ready="listening"))
        with contextlib.ExitStack() as observers:
            observers.enter_context(bridge(directory, [exporters[name] for name in OPEN_VSWITCH]))
            for name in SOFTFLOWD:
                observers.enter_context(running(*softflowd(exporters[name], directory), namespace=EXPORTERS))
            for name in NFPROBE:
                observers.enter_context(running(*pmacctd(exporters[name], directory), namespace=EXPORTERS))
            program = (sys.executable, str(HERE / "traffic.py"))
            observers.enter_context(running(*program, "serve", namespace=SERVERS, ready="serving"))
            time.sleep(2)
            run(*program, "send", "to-servers", SERVER_MAC, namespace=CLIENTS)
            time.sleep(12)  # let idle flows expire; what is left is exported at the end of each exporter
        time.sleep(1)
        for exporter in exporters.values():
            shutil.copyfile(directory / f"{exporter.name}.pcap", target / f"{exporter.name}.pcap")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent)
