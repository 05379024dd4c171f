//! What every fuzz target asks of the decoder, whatever it was fed: the equations of the ledger hold, and nothing is without bound.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};

use flowfast_decode::{Datagram, Decoder, DecoderOptions, Kernel, Limits, SchemaKind, TableBatch};

/// 14 November 2023, 22:13:20 UTC.
pub const EPOCH_NS: i64 = 1_700_000_000_000_000_000;

/// Small bounds, so that short inputs reach them.
pub const LIMITS: Limits = Limits {
    domains: 24,
    templates_per_domain: 32,
    templates: 200,
    template_fields_per_domain: 2000,
    template_fields: 20_000,
    template_lifetime_ns: 60_000_000_000,
    waiting_octets_per_domain: 4096,
    waiting_octets: 16384,
    waiting_ns: 5_000_000_000,
    options_octets_per_session: 2048,
    options_octets: 16384,
    list_depth: 3,
    sample_sources_per_domain: 8,
    sample_sources: 40,
    memory_octets_per_domain: 4096,
    memory_octets: 16384,
    accounts: 16,
};

/// A decoder and the rows that it has given.
pub struct Fuzzed {
    decoder: Decoder,
    rows: u64,
    /// Datagrams, for `run_datagram`.
    fed: u32,
}

impl Fuzzed {
    /// `flows` with all columns or `wire` (bit 0), strict or lenient (bit 1), journaled or not (bit 2), illegal lengths malformed or not
    /// (bit 3), with any kernel (bits 4 and 6), of mediators or not (bit 5).
    pub fn of_mode(mode: u8) -> Self {
        let schema = if mode & 1 == 0 {
            SchemaKind::Flows
        } else {
            SchemaKind::Wire
        };
        let options = DecoderOptions {
            schema,
            columns: vec![
                "full".to_owned(),
                "ingressInterface".to_owned(),
                "9:12235".to_owned(),
            ],
            lenient: mode & 2 != 0,
            journaled: mode & 4 != 0,
            strict_lengths: mode & 8 != 0,
            kernel: Kernel::ALL[usize::from((mode >> 4 & 1) + (mode >> 6 & 1))],
            split_biflows: true,
            mediators: match mode & 32 {
                0 => Vec::new(),
                _ => vec!["0.0.0.0/0".parse().expect("all of IPv4")],
            },
            limits: LIMITS,
            ..DecoderOptions::default()
        };
        Self {
            decoder: Decoder::new(&options).expect("these columns exist"),
            rows: 0,
            fed: 0,
        }
    }

    /// Decodes one datagram and checks the equations that hold at any time.
    pub fn feed(&mut self, exporter: u32, exporter_port: u16, received_ns: i64, payload: &[u8]) {
        let datagram = Datagram {
            exporter: IpAddr::V4(Ipv4Addr::from(exporter)),
            exporter_port,
            local_port: 4739,
            received_ns,
            payload,
        };
        self.decoder.expect(&datagram);
        let _ = self.decoder.decode(&datagram);
        self.check(self.decoder.pending_rows() as u64);
        assert!(self.decoder.exporter_count() <= LIMITS.domains);
        assert!(self.decoder.stats().set_octets_waiting <= LIMITS.waiting_octets as u64);
    }

    /// Takes the rows.
    pub fn flush(&mut self) {
        let batches = self.decoder.flush();
        self.take(&batches);
    }

    /// The end: nothing waits any more.
    pub fn finish(&mut self) {
        let batches = self.decoder.finish();
        self.take(&batches);
        assert_eq!(self.decoder.stats().sets_waiting, 0);
        assert_eq!(self.decoder.stats().set_octets_waiting, 0);
        self.hand_on();
    }

    fn take(&mut self, batches: &[TableBatch]) {
        for batch in batches {
            for column in batch.batch.columns() {
                column.to_data().validate_full().expect("arrays are valid");
            }
        }
        self.rows += batches
            .iter()
            .map(|batch| batch.batch.num_rows() as u64)
            .sum::<u64>();
        assert_eq!(self.decoder.pending_rows(), 0);
        self.check(0);
        assert_eq!(self.decoder.unaccounted(), []);
    }

    /// What a journal keeps is bounded, and teaches another decoder the same.
    fn hand_on(&mut self) {
        let state = self.decoder.state();
        // Notes on sequences and templates are as many as these are, which is bounded.
        let lessons = state
            .iter()
            .filter(|each| !each.payload.starts_with(b"\xff\xff"));
        let octets: usize = lessons.map(|message| message.payload.len()).sum();
        assert!(octets <= LIMITS.memory_octets);
        let options = DecoderOptions {
            journaled: true,
            limits: LIMITS,
            ..DecoderOptions::default()
        };
        let mut other = Decoder::new(&options).expect("these columns exist");
        for message in self.decoder.take_late().iter().chain(&state) {
            other.learn(&message.datagram());
        }
        assert_eq!(other.stats().records_received, 0);
        assert_eq!(other.flush().len(), 0);
    }

    fn check(&self, pending: u64) {
        let stats = self.decoder.stats();
        assert_eq!(
            stats.datagrams_received,
            stats.datagrams_decoded + stats.datagrams_discarded.iter().sum::<u64>()
        );
        assert_eq!(
            stats.records_received + stats.biflows_split,
            stats.records_decoded + stats.records_absorbed
        );
        assert_eq!(stats.records_decoded, self.rows + pending);
    }
}

/// Modes that `Fuzzed::of_mode` tells apart.
const MODES: usize = 64;

/// A message of a session input, apart from its payload.
const FRAME_LEN: usize = 5;

/// Frames a datagram for `run_session`: `who` picks exporter (low 5 bits) and port (next 2), the top bit asks for a flush after it;
/// `seconds` pass before it.
pub fn frame(who: u8, seconds: u16, payload: &[u8]) -> Vec<u8> {
    let len = payload.len().min(usize::from(u16::MAX)) as u16;
    let mut framed = vec![who];
    framed.extend(seconds.to_be_bytes());
    framed.extend(len.to_be_bytes());
    framed.extend(&payload[..usize::from(len)]);
    framed
}

thread_local! {
    /// Decoders that live on: to make one costs more than to decode a datagram.
    static KEPT: RefCell<[Option<Fuzzed>; MODES]> = const { RefCell::new([const { None }; MODES]) };
}

/// Feeds one datagram, from an exporter not heard of before. The octet before it picks the mode.
pub fn run_datagram(input: &[u8]) {
    let Some((&mode, payload)) = input.split_first() else {
        return;
    };
    KEPT.with_borrow_mut(|kept| {
        let fuzzed = kept[usize::from(mode) % MODES].get_or_insert_with(|| Fuzzed::of_mode(mode));
        fuzzed.fed += 1;
        fuzzed.feed(fuzzed.fed, 50000, EPOCH_NS, payload);
        fuzzed.finish();
    });
}

/// Versions of sFlow that are decoded.
const SFLOW_VERSIONS: [u32; 4] = [5, 4, 2, 5];

/// Feeds one sFlow datagram. The octet before it picks the mode, and the version (bits 6 and 7) that is put before it.
pub fn run_sflow(input: &[u8]) {
    let Some((&mode, rest)) = input.split_first() else {
        return;
    };
    let version = SFLOW_VERSIONS[usize::from(mode >> 6 & 3)];
    run_datagram(&[&[mode][..], &version.to_be_bytes(), rest].concat());
}

/// Feeds framed datagrams to one decoder. The first octet of all picks the mode.
pub fn run_session(input: &[u8]) {
    let Some((&mode, mut rest)) = input.split_first() else {
        return;
    };
    let mut fuzzed = Fuzzed::of_mode(mode);
    let mut now_ns = EPOCH_NS;
    while let Some((head, tail)) = rest.split_at_checked(FRAME_LEN) {
        let who = head[0];
        let seconds = u16::from_be_bytes([head[1], head[2]]);
        let len = usize::from(u16::from_be_bytes([head[3], head[4]])).min(tail.len());
        let (payload, after) = tail.split_at(len);
        rest = after;
        now_ns += i64::from(seconds) * 1_000_000_000;
        fuzzed.feed(
            u32::from(who & 31),
            50000 + u16::from(who >> 5 & 3),
            now_ns,
            payload,
        );
        if who & 0x80 != 0 {
            fuzzed.flush();
        }
    }
    fuzzed.finish();
}
