//! The decoder: one worker's whole state, fed with datagrams, emptied of batches.

mod ahead;
mod derived;
mod exporters;
mod kept;
mod lengths;
mod longer;
mod mediators;
mod notes;
mod objects;
mod plans;
mod properties;
mod records;
mod sections;
mod templates;
mod types;
mod waiting;

use std::net::IpAddr;

use arrow_schema::SchemaRef;

use crate::admission::{Admission, AdmissionOptions, Network};
use crate::batch::TableBatch;
use crate::error::{DecodeError, OptionsError};
use crate::format::{self, fixed_definitions};
use crate::kernel::{Biflows, Kernel, Neighbours};
use crate::ledger::{Ledger, LedgerEntry, NOBODY, Party};
use crate::schema::{SchemaKind, select};
use crate::staging::{PlanId, PlanStore};
use crate::stats::Stats;
use crate::tables::{Tables, flows_schema};
use crate::template::cache::Session;
use crate::template::domains::Domains;
use crate::template::limits::Limits;
use crate::template::options::Report;
use crate::template::types::LearnedTypes;

use ahead::Ahead;
use objects::ObjectPlans;
use properties::PropertyReader;
use sections::SectionReader;

pub use ahead::EXPECTED_AHEAD;
pub use exporters::ExporterSummary;
pub use kept::KeptMessage;
pub use plans::{PlanSummary, PlanUser};
pub use templates::{TemplateField, TemplateSummary};

/// One UDP datagram as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Source address of the datagram. IPv4-mapped IPv6 addresses must be given as IPv4 (FF-TR-11).
    pub exporter: IpAddr,
    /// Source UDP port.
    pub exporter_port: u16,
    /// UDP port it arrived on.
    pub local_port: u16,
    /// When it was received, nanoseconds since the UNIX epoch.
    pub received_ns: i64,
    /// The UDP payload.
    pub payload: &'a [u8],
}

impl Datagram<'_> {
    /// Its Transport Session, but for the addresses.
    pub(crate) fn session(&self) -> Session {
        Session {
            exporter_port: self.exporter_port,
            local_port: self.local_port,
        }
    }
}

/// How to decode.
#[derive(Clone, Debug)]
pub struct DecoderOptions {
    /// Which schema.
    pub schema: SchemaKind,
    /// Groups (`minimal`, `standard`, `full`), column names, element names and `pen:id`, for the `flows` schema.
    pub columns: Vec<String>,
    /// Keep what stands before the fault in a malformed message (FF-IX-03).
    pub lenient: bool,
    /// An IPFIX message with a field of illegal length, or a list that does not fill its field, is malformed (FF-DT-02, FF-SD-04).
    pub strict_lengths: bool,
    /// For a journal: remember what exporters taught as they sent it ([`Decoder::state`]), and hand over the data sets whose
    /// template did not come ([`Decoder::take_late`]) instead of discarding them.
    pub journaled: bool,
    /// Make two rows of a biflow, for the `flows` schema (RFC 5103; FF-BI-04).
    pub split_biflows: bool,
    /// Senders whose records and options data are of the Exporter that they name (RFC 7119; FF-Q-10).
    pub mediators: Vec<Network>,
    /// How records are transposed. All kernels give the same rows.
    pub kernel: Kernel,
    /// Bounds on what exporters can make us remember.
    pub limits: Limits,
    /// Who is heard, and how much of each.
    pub admission: AdmissionOptions,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self {
            schema: SchemaKind::Flows,
            columns: vec!["standard".to_owned()],
            lenient: false,
            strict_lengths: false,
            journaled: false,
            split_biflows: false,
            mediators: Vec::new(),
            kernel: Kernel::default(),
            limits: Limits::default(),
            admission: AdmissionOptions::default(),
        }
    }
}

/// What a datagram is to a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intake {
    /// It was received, and is decoded.
    Received,
    /// A part of a message that taught something to another decoder, or a note of that one.
    Lesson,
    /// Another decoder has received it, and decoded it or not: no row comes of it.
    Recalled,
}

/// Decodes the datagrams of any number of exporters into tables.
///
/// Pure state: time comes with the datagrams, and nothing is read or written but what is given.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) stats: Stats,
    ledger: Ledger,
    admission: Admission,
    /// The domain that the current datagram is from, once its header has told.
    heard: Option<usize>,
    ahead: Ahead,
    lenient: bool,
    strict_lengths: bool,
    journaled: bool,
    mediators: Vec<Network>,
    kernel: Kernel,
    limits: Limits,
    domains: Domains,
    /// There was no room for one.
    needs_domains: bool,
    plans: PlanStore,
    tables: Tables,
    fixed_plans: Vec<PlanId>,
    types: LearnedTypes,
    objects: ObjectPlans,
    neighbours: Neighbours,
    biflows: Biflows,
    properties: PropertyReader,
    sections: SectionReader,
    waiting_octets: usize,
    /// Sets that waited in vain, for the journal, and what they take.
    late: Vec<KeptMessage>,
    late_octets: usize,
    /// Octets that all domains remember.
    memory_octets: usize,
    /// What the current datagram is.
    intake: Intake,
    /// Templates of all domains.
    templates: usize,
    /// Octets of what options data taught, over all domains.
    options_octets: usize,
    /// Sources of sFlow samples, over all agents.
    sample_sources: usize,
    /// What the exporter says of itself in the message that is being decoded.
    reports: Vec<Report>,
    /// Where the current datagram was sent to.
    local_address: Option<IpAddr>,
    /// When the current datagram was received. Captures may go back in time.
    now_ns: i64,
    /// When sets that had waited too long were last looked for.
    expired_ns: i64,
    /// Lent out while a message is read.
    pub(crate) scratch: Option<Box<format::Scratch>>,
    pub(crate) samples: format::SampleReader,
}

impl Decoder {
    /// A decoder without any state.
    ///
    /// # Errors
    /// `UnknownColumn` if `options.columns` has a name that is no group, column or element.
    pub fn new(options: &DecoderOptions) -> Result<Self, OptionsError> {
        let selected = select(&options.columns)?;
        let tables = Tables::new(options.schema, selected, options.split_biflows);
        let mut decoder = Self {
            stats: Stats::default(),
            ledger: Ledger::new(options.limits.accounts),
            admission: Admission::new(options.admission.clone(), options.limits.domains),
            heard: None,
            ahead: Ahead::default(),
            lenient: options.lenient,
            strict_lengths: options.strict_lengths,
            journaled: options.journaled,
            mediators: options.mediators.clone(),
            kernel: options.kernel,
            limits: options.limits,
            domains: Domains::default(),
            needs_domains: false,
            plans: PlanStore::default(),
            samples: format::SampleReader::new(|element| tables.reads(element)),
            tables,
            fixed_plans: Vec::new(),
            types: LearnedTypes::default(),
            objects: ObjectPlans::default(),
            neighbours: Neighbours::default(),
            biflows: Biflows::default(),
            properties: PropertyReader::default(),
            sections: SectionReader::default(),
            waiting_octets: 0,
            late: Vec::new(),
            late_octets: 0,
            memory_octets: 0,
            intake: Intake::Received,
            templates: 0,
            options_octets: 0,
            sample_sources: 0,
            reports: Vec::new(),
            local_address: None,
            now_ns: i64::MIN,
            expired_ns: i64::MIN,
            scratch: None,
        };
        decoder.fixed_plans = fixed_definitions()
            .filter_map(|definition| decoder.intern(definition))
            .collect();
        decoder.stats = Stats::default(); // of what comes
        Ok(decoder)
    }

    /// The Arrow schema of the `flows` table with these columns.
    ///
    /// # Errors
    /// `UnknownColumn`, as `new`.
    pub fn flows_schema(columns: &[String]) -> Result<SchemaRef, OptionsError> {
        Ok(flows_schema(&select(columns)?))
    }

    /// Decodes one datagram.
    ///
    /// # Errors
    /// Why it was discarded; already counted in `stats`. Nothing of it is left behind (FF-IX-03).
    pub fn decode(&mut self, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
        self.stats.datagrams_received += 1;
        self.stats.octets_received += datagram.payload.len() as u64;
        let records = self.stats.records_received;
        let outcome = self.take_in(datagram);
        let records = self.stats.records_received - records;
        self.admission.settle(datagram, outcome, records);
        self.settle(datagram, outcome);
        outcome
    }

    fn take_in(&mut self, datagram: &Datagram<'_>) -> Result<(), DecodeError> {
        self.now_ns = datagram.received_ns;
        self.heard = None;
        if self.has_too_many_templates() || self.needs_domains {
            self.make_room();
        }
        let outcome = format::decode(self, datagram);
        if self.plans.has_too_many_unused() {
            self.drop_unused_plans();
        }
        if self.now_ns.abs_diff(self.expired_ns) >= waiting::EXPIRE_EVERY_NS {
            self.expire_waiting(false);
        }
        outcome
    }

    /// Forgets what is neglected most: plans that can be made again, templates, then whole domains.
    fn make_room(&mut self) {
        if self.plans.fields() > self.limits.template_fields {
            self.forget_derived_plans();
            self.drop_unused_plans();
        }
        if self.has_too_many_templates() {
            self.evict_templates();
        }
        // What waits refers to plans as well.
        if self.has_too_many_templates() || std::mem::take(&mut self.needs_domains) {
            self.evict_domains();
            self.drop_unused_plans();
        }
    }

    /// Whether a datagram is not to be decoded, because of whom it is from; it is then counted.
    pub fn refuses(&mut self, datagram: &Datagram<'_>) -> bool {
        let admitted = self.admission.admit(datagram);
        if let Err(why) = admitted {
            self.discard(datagram, why);
        }
        admitted.is_err()
    }

    /// Hears these from now on: [`DecoderOptions::admission`].
    pub fn admit_as(&mut self, admission: AdmissionOptions) {
        self.admission.change(admission);
    }

    /// What is decoded from now on was sent to this address; `None`: nobody knows. Templates remember it (FF-TL-11).
    pub fn sent_to(&mut self, local_address: Option<IpAddr>) {
        self.local_address = local_address;
    }

    /// Counts a datagram that is not to be decoded, and why.
    pub fn discard(&mut self, datagram: &Datagram<'_>, why: DecodeError) {
        self.stats.datagrams_received += 1;
        self.stats.octets_received += datagram.payload.len() as u64;
        self.now_ns = datagram.received_ns;
        self.heard = None;
        self.settle(datagram, Err(why));
    }

    /// Counts datagrams that were cut on the way, so that not even whose they were is to be trusted.
    pub fn discard_truncated(&mut self, datagrams: u64, octets: u64) {
        let why = DecodeError::TruncatedReceive as usize;
        self.stats.datagrams_received += datagrams;
        self.stats.octets_received += octets;
        self.stats.datagrams_discarded[why] += datagrams;
        let nobody = self.ledger.at(NOBODY);
        nobody.datagrams_received += datagrams as i64;
        nobody.octets_received += octets as i64;
        nobody.datagrams_discarded[why] += datagrams as i64;
    }

    /// Counts what became of a datagram, to whoever sent it.
    fn settle(&mut self, datagram: &Datagram<'_>, outcome: Result<(), DecodeError>) {
        let account = match self.heard {
            Some(domain_index) => self.account(domain_index),
            None => (self.ledger).open(Party::source(datagram.exporter), NOBODY, self.now_ns),
        };
        let counts = self.ledger.at(account);
        counts.datagrams_received += 1;
        counts.octets_received += datagram.payload.len() as i64;
        match outcome {
            Ok(()) => {
                self.stats.datagrams_decoded += 1;
                counts.datagrams_decoded += 1;
            }
            Err(error) => {
                self.stats.datagrams_discarded[error as usize] += 1;
                counts.datagrams_discarded[error as usize] += 1;
            }
        }
    }

    /// Rows decoded since the last flush, over all tables.
    pub fn pending_rows(&self) -> usize {
        self.tables.rows() + self.plans.staged_records()
    }

    /// Octets that the pending rows take, about.
    pub fn pending_bytes(&self) -> usize {
        self.tables.octets() + self.plans.staged_octets()
    }

    /// All pending rows, one batch a table that has any.
    pub fn flush(&mut self) -> Vec<TableBatch> {
        self.drop_unused_plans();
        self.tables.flush()
    }

    /// Gives up on what data sets still wait for, then flushes: the last call.
    pub fn finish(&mut self) -> Vec<TableBatch> {
        self.expire_waiting(true);
        self.flush()
    }

    /// Counters since the start.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What became of what each Exporter sent.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The same, for what becomes of the records later.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// What all accounts of the ledger together lack of the counters: nothing, ever.
    pub fn unaccounted(&self) -> Vec<LedgerEntry> {
        let counters = self.stats.counters();
        self.ledger.missing(|name, label| {
            let mut counters = counters.iter();
            let counter = counters.find(|each| each.name == name && each.label == label);
            counter.map(|each| each.value as i64)
        })
    }

    /// The ledger of a decoder that has come to its end.
    pub fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// The ledger goes on where another decoder's ended. Before the first datagram.
    pub fn go_on_with(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    pub(crate) fn is_lenient(&self) -> bool {
        self.lenient
    }
}
