//! Capture files, written octet by octet.

/// A pcap file of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Pcap {
    pub(crate) big_endian: bool,
    pub(crate) nanoseconds: bool,
    pub(crate) link: u32,
}

impl Pcap {
    /// A file of these packets: time in nanoseconds since the epoch, octets.
    pub(crate) fn file(self, packets: &[(i64, &[u8])]) -> Vec<u8> {
        let magic = if self.nanoseconds {
            0xa1b2_3c4d
        } else {
            0xa1b2_c3d4
        };
        let version = if self.big_endian {
            [0, 2, 0, 4]
        } else {
            [2, 0, 4, 0]
        };
        let mut file = [
            &self.u32(magic)[..],
            &version,
            &[0; 8],
            &self.u32(65_535),
            &self.u32(self.link),
        ]
        .concat();
        packets
            .iter()
            .for_each(|(time_ns, octets)| file.extend(self.record(*time_ns, octets, octets.len())));
        file
    }

    /// A packet of which `sent_octets` were on the wire.
    pub(crate) fn record(self, time_ns: i64, octets: &[u8], sent_octets: usize) -> Vec<u8> {
        let fraction = time_ns % 1_000_000_000 / if self.nanoseconds { 1 } else { 1000 };
        let fields = [
            time_ns / 1_000_000_000,
            fraction,
            octets.len() as i64,
            sent_octets as i64,
        ];
        let mut record: Vec<u8> = fields
            .iter()
            .flat_map(|field| self.u32(*field as u32))
            .collect();
        record.extend(octets);
        record
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }
}

/// Blocks of a pcapng file.
#[derive(Clone, Copy)]
pub(crate) struct PcapNg {
    pub(crate) big_endian: bool,
}

impl PcapNg {
    pub(crate) fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = self.u32((12 + body.len() + padding.len()) as u32);
        [&self.u32(kind)[..], &length, body, &padding, &length].concat()
    }

    pub(crate) fn section(self) -> Vec<u8> {
        let body = [
            &self.u32(0x1a2b_3c4d)[..],
            &self.u16(1),
            &self.u16(0),
            &[0xff; 8],
        ]
        .concat();
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface with these options: code, value.
    pub(crate) fn interface(self, link: u16, snaplen: u32, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut body = [&self.u16(link)[..], &[0; 2], &self.u32(snaplen)].concat();
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(value.len() as u16));
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    /// An enhanced packet, whole.
    pub(crate) fn packet(self, interface: u32, time: u64, octets: &[u8]) -> Vec<u8> {
        packet_block(&self, interface, time, octets, octets.len() as u32)
    }

    fn u16(self, value: u16) -> [u8; 2] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub(crate) fn u32(self, value: u32) -> [u8; 4] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }
}

/// An enhanced packet of which `sent_octets` were on the wire.
pub(crate) fn packet_block(
    ng: &PcapNg,
    interface: u32,
    time: u64,
    octets: &[u8],
    sent_octets: u32,
) -> Vec<u8> {
    let fields = [
        interface,
        (time >> 32) as u32,
        time as u32,
        octets.len() as u32,
        sent_octets,
    ];
    let mut body: Vec<u8> = fields.iter().flat_map(|field| ng.u32(*field)).collect();
    body.extend(octets);
    ng.block(6, &body)
}
