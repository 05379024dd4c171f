"""A flood: `python flooding.py PORT SECONDS RATE SOURCES SEED` sends to 127.0.0.1 what a collector has most work with, and says how much.

It comes from SOURCES addresses in 127.64.0.0/10, any of them at any time, as from one who spoofs. There are IPFIX messages that define
templates (a storm: the same few exporters define thousands in each of their domains, hardly two alike), exporters with one template and its
data, data of templates that never come, NetFlow v5, and octets that are no message. RATE is datagrams a second; 0: as many as the collector
reads, so that its kernel queue never fills.
"""

import json
import random
import socket
import struct
import sys
import time

from flowfast.commands.bench.sockets import socket_state

BURST = 16
MAX_WAITING_OCTETS = 128 << 10
"""How full the kernel's queue may be for the next burst, at the rate that the collector sets."""
STORMS, STORM_DOMAINS = 16, 4
TEMPLATES, FIELDS = 24, 12
"""Templates in a message of the storm, and fields in a template."""
UNIX_S = 1_790_000_000
IP_PKTINFO = 8  # as in linux/in.h: `socket` has it since Python 3.14 only


def ipfix(sets: bytes, domain: int) -> bytes:
    return struct.pack(">HHIII", 10, 16 + len(sets), UNIX_S, 0, domain) + sets


def a_set(set_id: int, body: bytes) -> bytes:
    return struct.pack(">HH", set_id, 4 + len(body)) + body


def template(choose: random.Random, template_id: int) -> bytes:
    """Some elements in some order, so that hardly two templates are alike."""
    elements = choose.sample(range(1, 380), FIELDS)
    fields = b"".join(struct.pack(">HH", each, choose.choice((1, 2, 4, 8))) for each in elements)
    return struct.pack(">HH", template_id, FIELDS) + fields


def storm(choose: random.Random) -> bytes:
    """Templates of an exporter that defines others all the time: its domains have 65,000 template ids."""
    first = choose.randrange(256, 65_536 - TEMPLATES)
    return ipfix(a_set(2, b"".join(template(choose, first + each) for each in range(TEMPLATES))), choose.randrange(STORM_DOMAINS))


def new_exporter(choose: random.Random) -> bytes:
    """One template and its data."""
    definition = struct.pack(">HHHHHH", 256, 2, 8, 4, 1, 8)
    return ipfix(a_set(2, definition) + a_set(256, struct.pack(">IQ", choose.randrange(1 << 32), 0) * 4), choose.randrange(1 << 32))


def orphan(choose: random.Random) -> bytes:
    """Data whose template never comes."""
    return ipfix(a_set(choose.randrange(256, 65_536), choose.randbytes(choose.randrange(12, 1200))), choose.randrange(4))


def netflow5(choose: random.Random) -> bytes:
    return struct.pack(">HHIIIIBBH", 5, 1, 60_000, UNIX_S, 0, choose.randrange(1 << 32), 0, 0, 0) + bytes(48)


def nonsense(choose: random.Random) -> bytes:
    return choose.randbytes(choose.randrange(1, 1400))


KINDS = (storm, storm, storm, new_exporter, new_exporter, orphan, netflow5, nonsense)


def flood(port: int, seconds: float, rate: float, sources: int, seed: int) -> dict[str, float]:
    choose = random.Random(seed)
    pool = [(kind is storm, kind(choose)) for _ in range(512) for kind in KINDS]
    addresses = [bytes([127, 64 + (each >> 16), each >> 8 & 255, each & 255]) for each in range(1, sources + 1)]
    # IP_PKTINFO chooses the source address of each datagram (ip(7)): all of 127.0.0.0/8 is ours.
    controls = [[(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 0, each, bytes(4)))] for each in addresses]
    sent = octets = 0
    begun_s = now_s = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        while (now_s := time.monotonic()) < begun_s + seconds:
            if rate == 0:
                state = socket_state(port)
                may_send = state is None or state.waiting_octets < MAX_WAITING_OCTETS
            else:
                may_send = sent < (now_s - begun_s) * rate
            if not may_send:
                time.sleep(0.0002)
                continue
            for _ in range(BURST):
                is_storm, payload = pool[int(choose.random() * len(pool))]
                source = int(choose.random() * (min(STORMS, sources) if is_storm else sources))
                sender.sendmsg((payload,), controls[source])
                sent += 1
                octets += len(payload)
    return {"datagrams": sent, "octets": octets, "seconds": now_s - begun_s}


if __name__ == "__main__":
    port, seconds, rate, sources, seed = sys.argv[1:]
    print(json.dumps(flood(int(port), float(seconds), float(rate), int(sources), int(seed))))
