//! The decoder: one worker's whole state, fed with datagrams, emptied of batches.

mod waiting;

use std::net::IpAddr;

use arrow_schema::SchemaRef;

use crate::batch::{FormatCode, Run, TableBatch, unmapped};
use crate::error::{DecodeError, OptionsError, SetLoss, Warning};
use crate::format::{self, fixed_definitions};
use crate::plan::{Layout, Piece};
use crate::schema::{SchemaKind, select};
use crate::sequence::{SequenceEvent, Units};
use crate::staging::{PlanId, PlanStore, RowSink, tile};
use crate::stats::Stats;
use crate::tables::{Tables, flows_schema};
use crate::template::cache::{DomainKey, Limits, Lookup, Session, Stored};
use crate::template::domains::Domains;
use crate::template::options::Subject;
use crate::template::{Definition, RecordKind};

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
    /// Bounds on what exporters can make us remember.
    pub limits: Limits,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self {
            schema: SchemaKind::Flows,
            columns: vec!["standard".to_owned()],
            lenient: false,
            limits: Limits::default(),
        }
    }
}

/// What one Exporter and Observation Domain sent.
#[derive(Clone, Debug)]
pub struct ExporterSummary {
    /// Its address; of sFlow, the agent address.
    pub exporter: IpAddr,
    /// Observation Domain: v9 Source ID, v5-v8 engine type * 256 + engine id; sFlow v5 sub-agent id.
    pub domain: u32,
    /// `netflow_v5`, `ipfix`, ...
    pub format: &'static str,
    /// Datagrams received.
    pub datagrams: u64,
    /// Flow Records and options data records decoded.
    pub records: u64,
    /// Lost before us, by sequence numbers.
    pub lost: u64,
    /// What `lost` counts: `records`, `packets`, `messages` if the exporter does not follow the standard (FF-SQ-06), or `none`
    /// where the format has no sequence (FF-NF-04).
    pub lost_unit: &'static str,
    /// Templates known, over all its sessions.
    pub templates: usize,
    /// When its last datagram was received, nanoseconds since the UNIX epoch.
    pub last_seen_ns: i64,
}

/// What a format's sequence numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceUnit {
    Records,
    Packets,
}

/// Decodes the datagrams of any number of exporters into tables.
///
/// Pure state: time comes with the datagrams, and nothing is read or written but what is given.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) stats: Stats,
    lenient: bool,
    limits: Limits,
    domains: Domains,
    plans: PlanStore,
    tables: Tables,
    fixed_plans: Vec<PlanId>,
    waiting_octets: usize,
    /// Templates of all domains.
    templates: usize,
    /// When the current datagram was received. Captures may go back in time.
    now_ns: i64,
    /// When sets that had waited too long were last looked for.
    expired_ns: i64,
    steps: Vec<format::Step>,
    pieces: Vec<Piece>,
    pub(crate) samples: format::SampleReader,
}

impl Decoder {
    /// A decoder without any state.
    ///
    /// # Errors
    /// `UnknownColumn` if `options.columns` has a name that is no group, column or element.
    pub fn new(options: &DecoderOptions) -> Result<Self, OptionsError> {
        let selected = select(&options.columns)?;
        let mut decoder = Self {
            stats: Stats::default(),
            lenient: options.lenient,
            limits: options.limits,
            domains: Domains::default(),
            plans: PlanStore::default(),
            tables: Tables::new(options.schema, selected),
            fixed_plans: Vec::new(),
            waiting_octets: 0,
            templates: 0,
            now_ns: i64::MIN,
            expired_ns: i64::MIN,
            steps: Vec::new(),
            pieces: Vec::new(),
            samples: format::SampleReader::default(),
        };
        decoder.fixed_plans = fixed_definitions()
            .filter_map(|definition| decoder.intern(definition))
            .collect();
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
        self.now_ns = datagram.received_ns;
        if self.templates > self.limits.templates
            || self.plans.fields() > self.limits.template_fields
        {
            // FF-TL-14: no domain may hold more than a small part, so those that are silent go.
            self.evict_domains();
            self.drop_unused_plans();
        }
        let outcome = format::decode(self, datagram);
        match outcome {
            Ok(()) => self.stats.datagrams_decoded += 1,
            Err(error) => self.stats.datagrams_discarded[error as usize] += 1,
        }
        if self.plans.has_too_many_unused() {
            self.drop_unused_plans();
        }
        if self.now_ns.abs_diff(self.expired_ns) >= waiting::EXPIRE_EVERY_NS {
            self.expire_waiting(false);
        }
        outcome
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

    /// Gives up on data sets that still wait for their template, then flushes: the last call.
    pub fn finish(&mut self) -> Vec<TableBatch> {
        self.expire_waiting(true);
        self.flush()
    }

    /// Counters since the start.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// One row per Exporter, format and Observation Domain, in no order.
    pub fn exporters(&self) -> Vec<ExporterSummary> {
        let summary = |domain: &crate::template::cache::Domain| {
            let format = domain.key.format;
            ExporterSummary {
                exporter: unmapped(domain.key.exporter),
                domain: domain.key.domain,
                format: format.name(),
                datagrams: domain.datagrams,
                records: domain.records,
                lost: domain.lost,
                lost_unit: match (format, domain.sequence.counts_messages()) {
                    (FormatCode::Netflow1, _) => "none",
                    (_, true) => "messages",
                    (
                        FormatCode::Netflow9
                        | FormatCode::Sflow2
                        | FormatCode::Sflow4
                        | FormatCode::Sflow5,
                        _,
                    ) => "packets",
                    _ => "records",
                },
                templates: domain.template_count(),
                last_seen_ns: domain.last_seen_ns,
            }
        };
        self.domains
            .iter()
            .map(|(_, domain)| summary(domain))
            .collect()
    }

    /// How many Observation Domains are known.
    pub fn exporter_count(&self) -> usize {
        self.domains.len()
    }

    pub(crate) fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// The plan of a fixed format's layout.
    pub(crate) fn fixed_plan(&self, layout_index: usize) -> PlanId {
        self.fixed_plans[layout_index]
    }

    /// Finds or makes the state of an Observation Domain, and notes that it was heard of.
    pub(crate) fn domain(&mut self, key: DomainKey, received_ns: i64) -> usize {
        let index = match self.domains.find(&key) {
            Some(index) => index,
            None => {
                if self.domains.len() >= self.limits.domains {
                    self.evict_domains();
                }
                self.domains.insert(key)
            }
        };
        if let Some(domain) = self.domains.get_mut(index) {
            domain.datagrams += 1;
            domain.last_seen_ns = received_ns;
        }
        index
    }

    fn evict_domains(&mut self) {
        // Staged rows still read the state of their domain.
        self.transpose_all();
        for (domain, plans) in self.domains.evict_oldest() {
            self.stats.warn(Warning::ExporterEvicted);
            self.templates -= plans.len();
            plans.into_iter().for_each(|plan| self.plans.release(plan));
            for set in domain.waiting {
                self.unwait(&set);
                self.stats.discard_set(SetLoss::NoTemplate, set.body.len());
            }
        }
    }

    pub(crate) fn observe_sequence(
        &mut self,
        domain_index: usize,
        sequence: u32,
        units: Option<Units>,
        uptime_ms: Option<u32>,
        unit: SequenceUnit,
    ) {
        let Some(domain) = self.domains.get_mut(domain_index) else {
            return;
        };
        match domain.sequence.observe(sequence, units, uptime_ms) {
            SequenceEvent::InOrder => {}
            SequenceEvent::Lost(lost) => {
                let lost = u64::from(lost);
                domain.lost += lost;
                match unit {
                    SequenceUnit::Records => self.stats.sequence_lost_records += lost,
                    SequenceUnit::Packets => self.stats.sequence_lost_packets += lost,
                }
            }
            SequenceEvent::OutOfOrder => self.stats.warn(Warning::OutOfOrder),
            SequenceEvent::Restart => self.stats.warn(Warning::ExporterRestart),
        }
    }

    /// The plan of a template, with one more reference to it; `None` if its records would have no length.
    pub(crate) fn intern(&mut self, definition: Definition) -> Option<PlanId> {
        let Self {
            plans,
            tables,
            stats,
            ..
        } = self;
        plans.intern(definition, |definition| {
            Some(tables.compile(&Layout::new(definition)?, stats))
        })
    }

    /// What the records of a plan are.
    pub(crate) fn kind(&self, plan: PlanId) -> Option<RecordKind> {
        self.plans.get(plan).map(|plan| plan.kind)
    }

    pub(crate) fn release(&mut self, plan: PlanId) {
        self.plans.release(plan);
    }

    pub(crate) fn lookup(
        &self,
        domain_index: usize,
        session: Session,
        template_id: u16,
        now_ns: i64,
    ) -> Lookup {
        match self.domains.get(domain_index) {
            Some(domain) => domain.lookup(session, template_id, now_ns, &self.limits),
            None => Lookup::Missing,
        }
    }

    pub(crate) fn count_template(&mut self, kind: RecordKind) {
        if kind == RecordKind::Options {
            self.stats.options_templates_received += 1;
        } else {
            self.stats.templates_received += 1;
        }
    }

    /// Puts a template into effect; `true` if it is not the one that was.
    pub(crate) fn store_template(
        &mut self,
        domain_index: usize,
        session: Session,
        template_id: u16,
        plan: PlanId,
        now_ns: i64,
    ) -> bool {
        let mut evicted = Vec::new();
        let fields = self.plans.fields_of(plan);
        let Some(domain) = self.domains.get_mut(domain_index) else {
            self.plans.release(plan);
            return false;
        };
        let stored = domain.store(
            session,
            template_id,
            (plan, fields),
            now_ns,
            &self.limits,
            &mut evicted,
        );
        match stored {
            Stored::New => self.templates += 1,
            Stored::Refreshed => self.plans.release(plan),
            Stored::Redefined(before) => {
                self.stats.warn(Warning::TemplateRedefined);
                self.plans.release(before);
            }
        }
        self.templates -= evicted.len();
        self.stats.warnings[Warning::TemplateEvicted as usize] += evicted.len() as u64;
        evicted
            .into_iter()
            .for_each(|plan| self.plans.release(plan));
        stored != Stored::Refreshed
    }

    /// Counts the records of a set and finds their fields, by a plan.
    pub(crate) fn split(
        &self,
        plan: PlanId,
        body: &[u8],
        pieces: &mut Vec<Piece>,
    ) -> Result<(usize, usize), DecodeError> {
        match self.plans.get(plan) {
            Some(plan) => plan.shape.split(body, pieces),
            None => Ok((0, 0)),
        }
    }

    /// Appends the records of a set that `split` has checked; cannot fail.
    pub(crate) fn append_records(
        &mut self,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: Run,
    ) {
        self.learn(Subject::Sampling, plan_id, body, pieces, run);
        let Some(plan) = self.plans.get(plan_id) else {
            return;
        };
        if run.records == 0 {
            return;
        }
        let records = run.records as u64;
        self.stats.records_received += records;
        if let Some(domain) = self.domains.get_mut(run.context.domain_index) {
            domain.records += records;
        }
        if plan.kind == RecordKind::Options {
            self.stats.options_records_decoded += records;
        }
        if plan.table.is_some() {
            self.stats.records_decoded += records;
        } else {
            self.stats.records_absorbed += records;
        }
        let (plans, mut rows) = self.plans_and_rows();
        plans.append(plan_id, body, pieces, run, &mut rows);
    }

    /// Takes in what the records of a set teach, if they are options data that is understood. Rows already staged were sent
    /// under the old state: if it changes, they are transposed first.
    pub(crate) fn learn(
        &mut self,
        subject: Subject,
        plan_id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: Run,
    ) {
        let options = self
            .plans
            .get(plan_id)
            .and_then(|plan| Some((plan, plan.options?)));
        let Some((plan, fields)) = options else {
            return;
        };
        let records = tile(plan, body, pieces, run.records);
        let domain = self.domains.get(run.context.domain_index);
        if !domain.is_some_and(|domain| {
            domain
                .options
                .would_change(run.context.session, subject, &fields, &records)
        }) {
            return;
        }
        self.transpose_all();
        let (Some(plan), Some(domain)) = (
            self.plans.get(plan_id),
            self.domains.get_mut(run.context.domain_index),
        ) else {
            return;
        };
        let records = tile(plan, body, pieces, run.records);
        domain
            .options
            .learn(run.context.session, subject, &fields, &records);
    }

    /// The plans, and where the rows they give go: apart, so that both can be changed at once.
    fn plans_and_rows(&mut self) -> (&mut PlanStore, RowSink<'_>) {
        let rows = RowSink {
            tables: &mut self.tables,
            domains: &self.domains,
            stats: &mut self.stats,
        };
        (&mut self.plans, rows)
    }

    fn transpose_all(&mut self) {
        let (plans, mut rows) = self.plans_and_rows();
        plans.transpose_all(&mut rows);
    }

    fn drop_unused_plans(&mut self) {
        self.transpose_all();
        let users = self.plans.drop_unused();
        self.tables.release(&users);
    }

    /// Buffers that messages are split in, lent out so that no datagram allocates.
    pub(crate) fn take_scratch(&mut self) -> (Vec<format::Step>, Vec<Piece>) {
        (
            std::mem::take(&mut self.steps),
            std::mem::take(&mut self.pieces),
        )
    }

    pub(crate) fn return_scratch(&mut self, mut steps: Vec<format::Step>, mut pieces: Vec<Piece>) {
        steps.clear();
        pieces.clear();
        (self.steps, self.pieces) = (steps, pieces);
    }
}
