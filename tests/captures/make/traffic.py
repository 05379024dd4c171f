"""Mixed traffic between two network namespaces, for real exporters to look at.

    traffic.py serve                    in the namespace of the servers, until killed
    traffic.py send INTERFACE PEER_MAC  in the namespace of the clients, ends by itself

TCP and UDP over IPv4 and IPv6, ICMP and ICMPv6 echo, refused connections, fragments, and VLAN-tagged
UDP made as raw frames (the frames need no VLAN device). Everything is chosen by one seed, so that two
runs offer the same conversations.
"""

import random
import socket
import socketserver
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

SEED = 2024
CLIENTS_V4 = [f"192.0.2.{n}" for n in range(1, 9)]
SERVERS_V4 = [f"198.51.100.{n}" for n in range(1, 5)]
CLIENTS_V6 = [f"2001:db8:a::{n}" for n in range(1, 5)]
SERVERS_V6 = [f"2001:db8:b::{n}" for n in range(1, 4)]
TCP_PORTS = (22, 80, 443, 8080)
UDP_PORTS = (53, 123, 4500)
CLOSED_PORT = 7
VLAN_ID = 100
REQUEST = struct.Struct(">II")  # octets of request body, octets wanted in the reply


# --- servers ---------------------------------------------------------------------------------------------


class TcpReply(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        header = read_exactly(self.request, REQUEST.size)
        body, wanted = REQUEST.unpack(header)
        read_exactly(self.request, body)
        self.request.sendall(b"r" * wanted)


class UdpReply(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        datagram, reply_socket = self.request
        _, wanted = REQUEST.unpack_from(datagram)
        reply_socket.sendto(b"r" * wanted, self.client_address)


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 64


class TcpServer6(TcpServer):
    address_family = socket.AF_INET6


class UdpServer6(socketserver.UDPServer):
    address_family = socket.AF_INET6


def serve() -> None:
    """Answer on every address and port until killed."""
    servers: list[socketserver.BaseServer] = []
    servers += [TcpServer((a, p), TcpReply) for a in SERVERS_V4 for p in TCP_PORTS]
    servers += [TcpServer6((a, p), TcpReply) for a in SERVERS_V6 for p in TCP_PORTS]
    servers += [socketserver.UDPServer((a, p), UdpReply) for a in SERVERS_V4 for p in UDP_PORTS]
    servers += [UdpServer6((a, p), UdpReply) for a in SERVERS_V6 for p in UDP_PORTS]
    threads = [threading.Thread(target=s.serve_forever, daemon=True) for s in servers]
    for thread in threads:
        thread.start()
    print("serving", flush=True)
    threading.Event().wait()


def read_exactly(stream: socket.socket, octets: int) -> bytes:
    parts = []
    while octets:
        part = stream.recv(min(octets, 65536))
        if not part:
            raise ConnectionError("peer closed")
        parts.append(part)
        octets -= len(part)
    return b"".join(parts)


# --- clients ---------------------------------------------------------------------------------------------


def open_socket(kind: int, source: tuple[str, int], tos: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.settimeout(3)
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(source)
    return sock


def tcp_exchange(source: tuple[str, int], target: tuple[str, int], tos: int, body: int, wanted: int) -> None:
    with open_socket(socket.SOCK_STREAM, source, tos) as sock:
        try:
            sock.connect(target)
        except ConnectionRefusedError:
            return  # a refused connection is traffic too: SYN and RST
        sock.sendall(REQUEST.pack(body, wanted) + b"q" * body)
        read_exactly(sock, wanted)


def udp_exchange(source: tuple[str, int], target: tuple[str, int], tos: int, body: int, wanted: int) -> None:
    with open_socket(socket.SOCK_DGRAM, source, tos) as sock:
        sock.connect(target)
        for _ in range(1 + body % 4):
            sock.send(REQUEST.pack(body, wanted) + b"q" * body)
            try:
                sock.recv(65536)
            except (ConnectionRefusedError, TimeoutError):
                return


def echo(source: str, target: str, identifier: int, count: int) -> None:
    six = ":" in source
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, protocol) as sock:
        sock.bind((source, 0))
        for sequence in range(count):
            message = struct.pack(">BBHHH", 128 if six else 8, 0, 0, identifier, sequence) + b"e" * 48
            if not six:  # the kernel fills in ICMPv6 checksums only
                message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
            sock.sendto(message, (target, 0))
            time.sleep(0.01)


def checksum(octets: bytes) -> int:
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def vlan_tagged(source: tuple[str, int], target: tuple[str, int], size: int) -> bytes:
    """What follows the MAC addresses: an 802.1Q tag and a UDP packet over IPv4."""
    udp = struct.pack(">HHHH", source[1], target[1], 8 + size, 0) + b"v" * size
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), source[1], 0, 64, socket.IPPROTO_UDP, 0)
    head += socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return struct.pack(">HHH", 0x8100, VLAN_ID, 0x0800) + head + udp


def send_vlan(interface: str, peer_mac: str, choose: random.Random) -> None:
    """Frames of 30 flows; nobody answers, but the exporters see them."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, 0))
        own, peer = sock.getsockname()[4], bytes.fromhex(peer_mac.replace(":", ""))
        for n in range(30):
            port, size = choose.randrange(20000, 60000), choose.randrange(20, 1200)
            frame = peer + own + vlan_tagged((f"203.0.113.{n + 1}", port), ("203.0.113.129", 5060), size)
            for _ in range(choose.randrange(1, 6)):
                sock.send(frame)
            time.sleep(0.02)


def conversations(choose: random.Random) -> list:
    """The calls to make, in a shuffled order."""
    calls = []
    ports = iter(range(40000, 60000))

    def octets(limit: int) -> int:
        return min(limit, int(choose.paretovariate(0.9) * 40))

    def pair(six: bool) -> tuple[str, str]:
        return choose.choice(CLIENTS_V6 if six else CLIENTS_V4), choose.choice(SERVERS_V6 if six else SERVERS_V4)

    for six, tcp, udp in ((False, 80, 60), (True, 35, 25)):
        for _ in range(tcp):
            source, target = pair(six)
            port = CLOSED_PORT if choose.random() < 0.08 else choose.choice(TCP_PORTS)
            tos = choose.choice((0, 0, 0x28, 0xB8))
            calls.append((tcp_exchange, (source, next(ports)), (target, port), tos, octets(20000), octets(400000)))
        for _ in range(udp):
            source, target = pair(six)
            port = CLOSED_PORT if choose.random() < 0.08 else choose.choice(UDP_PORTS)
            # over 1472 octets: IP fragments
            calls.append((udp_exchange, (source, next(ports)), (target, port), choose.choice((0, 0xC0)), octets(1800), octets(4000)))
        for _ in range(6):
            calls.append((echo, *pair(six), choose.randrange(1, 65536), choose.randrange(1, 6)))
    choose.shuffle(calls)
    return calls


def send(interface: str, peer_mac: str) -> None:
    choose = random.Random(SEED)
    with ThreadPoolExecutor(6) as pool:
        tagged = pool.submit(send_vlan, interface, peer_mac, random.Random(SEED + 1))
        calls = []
        for function, *arguments in conversations(choose):
            calls.append(pool.submit(function, *arguments))
            time.sleep(0.04)
        for call in (tagged, *calls):
            call.result()
    print(f"{len(calls)} conversations and the tagged frames sent", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    elif len(sys.argv) == 4 and sys.argv[1] == "send":
        send(sys.argv[2], sys.argv[3])
    else:
        sys.exit(__doc__)
