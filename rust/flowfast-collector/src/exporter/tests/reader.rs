//! A reader of v5, v9, IPFIX and sFlow, written from the documents: it walks by lengths and asserts what must hold.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

use super::super::Tally;

/// Values of a record by element id; times 21 and 22 as 153 and 152, UNIX milliseconds.
pub(super) type Record = BTreeMap<u16, u128>;

type Fields = Vec<(u16, usize)>;

/// Reads the datagrams of any number of exporters.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) contents: Tally,
    pub(super) datagrams: u64,
    pub(super) octets: u64,
    pub(super) records: Vec<Record>,
    /// The template that each record of `records` had.
    pub(super) templates: BTreeMap<(SocketAddr, u32, u16), Fields>,
    next_sequence: HashMap<(SocketAddr, u32), u32>,
    next_sample: HashMap<SocketAddr, u128>,
    boot_time_ms: HashMap<SocketAddr, u128>,
}

fn number(octets: &[u8]) -> u128 {
    octets
        .iter()
        .fold(0, |value, octet| value << 8 | u128::from(*octet))
}

fn at(datagram: &[u8], offset: usize, octets: usize) -> u128 {
    number(&datagram[offset..offset + octets])
}

const V5_FIELDS: [(u16, usize); 20] = [
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 2),
    (14, 2),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (210, 1),
    (6, 1),
    (4, 1),
    (5, 1),
    (16, 2),
    (17, 2),
    (9, 1),
    (13, 1),
    (210, 2),
];

impl Reader {
    pub(super) fn read(&mut self, source: SocketAddr, datagram: &[u8]) {
        self.datagrams += 1;
        self.octets += datagram.len() as u64;
        match at(datagram, 0, 2) {
            5 => self.read_v5(source, datagram),
            9 => self.read_v9(source, datagram),
            10 => self.read_ipfix(source, datagram),
            0 => self.read_sflow(source, datagram),
            version => panic!("version {version}"),
        }
    }

    pub(super) fn sum(&self, element: u16) -> u64 {
        self.records
            .iter()
            .map(|record| record[&element] as u64)
            .sum()
    }

    fn read_v5(&mut self, source: SocketAddr, datagram: &[u8]) {
        let count = at(datagram, 2, 2) as usize;
        assert_eq!(
            datagram.len(),
            24 + 48 * count,
            "24 octets of header, 48 a record"
        );
        let export_ms = at(datagram, 8, 4) * 1000 + at(datagram, 12, 4) / 1_000_000;
        self.check_boot_time(source, export_ms - at(datagram, 4, 4));
        self.check_sequence(source, at(datagram, 20, 2), at(datagram, 16, 4), count);
        for record in datagram[24..].chunks(48) {
            self.read_record(source, &V5_FIELDS, record, export_ms);
        }
    }

    fn read_v9(&mut self, source: SocketAddr, datagram: &[u8]) {
        let export_ms = at(datagram, 8, 4) * 1000;
        self.check_boot_time(source, export_ms - at(datagram, 4, 4));
        let domain = at(datagram, 16, 4);
        self.check_sequence(source, domain, at(datagram, 12, 4), 1);
        let (templates, records) =
            self.read_sets(source, domain as u32, &datagram[20..], 0, export_ms);
        assert_eq!(
            at(datagram, 2, 2) as usize,
            templates + records,
            "count: records of all kinds"
        );
    }

    fn read_ipfix(&mut self, source: SocketAddr, datagram: &[u8]) {
        assert_eq!(at(datagram, 2, 2) as usize, datagram.len());
        let (export_ms, domain) = (at(datagram, 4, 4) * 1000, at(datagram, 12, 4));
        let (_, records) = self.read_sets(source, domain as u32, &datagram[16..], 2, export_ms);
        self.check_sequence(source, domain, at(datagram, 8, 4), records);
    }

    /// sFlow v5: flow samples of one raw header each, one in 400 packets.
    fn read_sflow(&mut self, source: SocketAddr, datagram: &[u8]) {
        let word = |offset| at(datagram, offset, 4);
        assert_eq!((word(0), word(4), word(12)), (5, 1, word(8) & 0xffff));
        self.check_sequence(source, word(12), word(16), 1);
        let mut start = 28;
        for _ in 0..word(24) {
            assert_eq!(
                (word(start), word(start + 36)),
                (1, 1),
                "a flow sample of one record"
            );
            let sequence = word(start + 8);
            let next = self.next_sample.entry(source).or_insert(0);
            assert_eq!(*next, sequence, "samples count on");
            *next += 1;
            assert_eq!(
                (word(start + 16), word(start + 20)),
                (400, 400 * sequence),
                "the pool"
            );
            assert_eq!(
                (word(start + 40), word(start + 48)),
                (1, 1),
                "raw header, Ethernet"
            );
            let (frame_octets, header_octets) = (word(start + 52), word(start + 60) as usize);
            let end = start + 8 + word(start + 4) as usize;
            assert_eq!(end, start + 64 + header_octets.next_multiple_of(4));
            let header = &datagram[start + 64..][..header_octets];
            self.read_packet(header, frame_octets);
            start = end;
        }
        assert_eq!(start, datagram.len());
    }

    fn read_packet(&mut self, header: &[u8], frame_octets: u128) {
        let (protocol, transport, ids, addresses) = match at(header, 12, 2) {
            0x0800 => {
                assert_eq!(at(header, 16, 2), frame_octets - 14, "total length");
                let words = header[14..34].chunks(2).map(number).sum::<u128>();
                assert_eq!((words & 0xffff) + (words >> 16), 0xffff, "checksum");
                self.contents.flows_ipv4 += 1;
                (
                    at(header, 23, 1),
                    34,
                    [8, 12],
                    [at(header, 26, 4), at(header, 30, 4)],
                )
            }
            0x86dd => {
                assert_eq!(at(header, 18, 2), frame_octets - 54, "payload length");
                self.contents.flows_ipv6 += 1;
                (
                    at(header, 20, 1),
                    54,
                    [27, 28],
                    [at(header, 22, 16), at(header, 38, 16)],
                )
            }
            other => panic!("Ethernet type {other:#x}"),
        };
        let ports = match protocol {
            6 | 17 => [at(header, transport, 2), at(header, transport + 2, 2)],
            _ => [0, at(header, transport, 2)],
        };
        self.contents.packets += 1;
        self.contents.octets += frame_octets as u64;
        let [source, destination] = addresses;
        self.records.push(Record::from([
            (ids[0], source),
            (ids[1], destination),
            (4, protocol),
            (7, ports[0]),
            (11, ports[1]),
            (1, frame_octets),
            (2, 1),
        ]));
    }

    /// Returns the number of template and of data records.
    fn read_sets(
        &mut self,
        source: SocketAddr,
        domain: u32,
        mut sets: &[u8],
        template_set_id: u16,
        export_ms: u128,
    ) -> (usize, usize) {
        let (mut templates, mut records) = (0, 0);
        while !sets.is_empty() {
            let (id, length) = (at(sets, 0, 2) as u16, at(sets, 2, 2) as usize);
            assert!(length > 4 && length % 4 == 0, "set of {length}");
            let (set, rest) = (&sets[4..length], &sets[length..]);
            if id == template_set_id {
                templates += self.read_templates(source, domain, set);
            } else {
                records += self.read_data(source, domain, id, set, export_ms);
            }
            sets = rest;
        }
        (templates, records)
    }

    fn read_templates(&mut self, source: SocketAddr, domain: u32, mut set: &[u8]) -> usize {
        let mut templates = 0;
        while !set.is_empty() {
            let (id, count) = (at(set, 0, 2) as u16, at(set, 2, 2) as usize);
            assert!(id >= 256);
            let (specifiers, rest) = set[4..].split_at(4 * count);
            let fields = specifiers
                .chunks(4)
                .map(|field| (at(field, 0, 2) as u16, at(field, 2, 2) as usize))
                .collect();
            self.templates.insert((source, domain, id), fields);
            templates += 1;
            set = rest;
        }
        self.contents.templates += templates as u64;
        templates
    }

    fn read_data(
        &mut self,
        source: SocketAddr,
        domain: u32,
        id: u16,
        set: &[u8],
        export_ms: u128,
    ) -> usize {
        let fields = self.templates[&(source, domain, id)].clone();
        let length = fields.iter().map(|(_, octets)| octets).sum();
        let records = set.chunks_exact(length);
        assert!(records.remainder().len() < 4, "padding");
        assert!(
            records.remainder().iter().all(|octet| *octet == 0),
            "padding"
        );
        let count = records.len();
        records.for_each(|record| self.read_record(source, &fields, record, export_ms));
        count
    }

    fn read_record(
        &mut self,
        source: SocketAddr,
        fields: &[(u16, usize)],
        mut record: &[u8],
        export_ms: u128,
    ) {
        let mut values = Record::new();
        for &(element, octets) in fields {
            let (value, rest) = record.split_at(octets);
            record = rest;
            match element {
                21 => values.insert(153, number(value) + self.boot_time_ms[&source]),
                22 => values.insert(152, number(value) + self.boot_time_ms[&source]),
                210 => None,
                _ => values.insert(element, number(value)),
            };
        }
        assert!(record.is_empty());
        assert!(
            values[&152] <= values[&153] && values[&153] <= export_ms,
            "start, end, export"
        );
        assert!(export_ms - values[&152] < 80_000);
        self.contents.packets += values[&2] as u64;
        self.contents.octets += values[&1] as u64;
        match (values.contains_key(&8), values.contains_key(&27)) {
            (true, false) => self.contents.flows_ipv4 += 1,
            (false, true) => self.contents.flows_ipv6 += 1,
            both => panic!("address families {both:?}"),
        }
        self.records.push(values);
    }

    /// The exporter has one boot time, whatever message says it (FF-V9-10).
    fn check_boot_time(&mut self, source: SocketAddr, boot_time_ms: u128) {
        assert_eq!(
            *self.boot_time_ms.entry(source).or_insert(boot_time_ms),
            boot_time_ms
        );
    }

    /// `step` as the format counts: flows, packets or data records (spec 2.3.4).
    fn check_sequence(&mut self, source: SocketAddr, domain: u128, sequence: u128, step: usize) {
        let next = self
            .next_sequence
            .entry((source, domain as u32))
            .or_insert(0);
        assert_eq!(
            *next, sequence as u32,
            "sequence of {source}, domain {domain}"
        );
        *next = next.wrapping_add(step as u32);
    }
}
