"""Switch off checksum and segmentation offload of a network interface: `offload.py INTERFACE` (what `ethtool -K` does)."""

import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
# ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO of <linux/ethtool.h>
SWITCHES = (0x17, 0x1F, 0x24, 0x2C)


def main(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for switch in SWITCHES:
            value = array.array("B", struct.pack("II", switch, 0))
            request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
            fcntl.ioctl(sock, SIOCETHTOOL, request + bytes(16))


if __name__ == "__main__":
    main(sys.argv[1])
