//! The ledger: what became of every datagram and record, by Exporter and Observation Domain (architecture section 7).
//!
//! Accounts only grow, and are bounded: beyond the bound those neglected most are closed, and what they say goes to nobody's account,
//! which also has what belongs to no Exporter. So the sum over all accounts is always the sum over all datagrams. A ledger row is what
//! an account grew by since the last rows were written.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt16Array, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use foldhash::fast::RandomState;

use crate::batch::{FormatCode, TableBatch, TableKind, mapped, unmapped};
use crate::column::Address;
use crate::convert::timestamp;
use crate::error::{DecodeError, RecordLoss, SetLoss};
use crate::prefetch::prefetch;
use crate::schema::with_semantic;
use crate::template::domain::{Domain, DomainKey};
use crate::template::neglect::{most_neglected, neglect};

/// Declares the counters of an account once; the names are those of `Stats` and of the collector's counters.
macro_rules! counts {
    (
        $($(#[$doc:meta])* $field:ident),+ ;
        $($(#[$family_doc:meta])* $family:ident by $loss:ident as $reason:path),+ $(,)?
    ) => {
        /// What one account counts. Signed, for differences of gauges are.
        #[derive(Clone, Debug, Default)]
        #[repr(C)]
        pub(crate) struct Counts {
            $($(#[$doc])* pub(crate) $field: i64,)+
            $($(#[$family_doc])* pub(crate) $family: [i64; $loss::COUNT],)+
        }

        impl Counts {
            fn add(&mut self, other: &Self) {
                self.combine(other, |mine, theirs| *mine += theirs);
            }

            fn subtract(&mut self, other: &Self) {
                self.combine(other, |mine, theirs| *mine -= theirs);
            }

            fn combine(&mut self, other: &Self, with: impl Fn(&mut i64, i64)) {
                $(with(&mut self.$field, other.$field);)+
                $(self.$family.iter_mut().zip(other.$family).for_each(|(mine, theirs)| with(mine, theirs));)+
            }

            /// Those that are not 0, in a stable order.
            fn entries(&self) -> Vec<LedgerEntry> {
                let mut all = vec![$(LedgerEntry { counter: stringify!($field), reason: None, label: None, count: self.$field }),+];
                $(all.extend($loss::ALL.iter().zip(self.$family).map(|(loss, count)| LedgerEntry {
                    counter: stringify!($family),
                    reason: Some($reason(*loss)),
                    label: Some(loss.label()),
                    count,
                }));)+
                all.retain(|entry| entry.count != 0);
                all
            }

            /// By how much `total` differs from it, where it says anything.
            fn missing(&self, total: impl Fn(&str, Option<&str>) -> Option<i64>) -> Self {
                let difference = |mine: i64, counter, label| total(counter, label).map_or(0, |count| count - mine);
                let mut missing = Self::default();
                $(missing.$field = difference(self.$field, stringify!($field), None);)+
                $(for ((missing, mine), loss) in missing.$family.iter_mut().zip(self.$family).zip($loss::ALL) {
                    *missing = difference(mine, stringify!($family), Some(loss.label()));
                })+
                missing
            }
        }
    };
}

counts! {
    datagrams_received,
    octets_received,
    datagrams_decoded,
    records_received,
    records_decoded,
    /// Decoded, and not handed over yet.
    records_pending,
    records_queued,
    records_absorbed,
    /// Biflows that became two rows, of which the second is one of `records_decoded` too.
    biflows_split,
    sets_undecodable,
    sets_recovered,
    /// Of no template in time, and in the journal.
    sets_late,
    sets_waiting,
    set_octets_waiting,
    sequence_lost_records,
    sequence_lost_packets,
    /// Counted as lost before, and late.
    sequence_late_records,
    sequence_late_packets,
    /// Sent while no collector ran.
    collector_down_records,
    collector_down_packets,
    /// Of nobody: the kernel does not say whose they were.
    kernel_drops,
    /// Datagrams in them, about.
    kernel_drops_datagrams;
    datagrams_discarded by DecodeError as DecodeError::reason,
    records_dropped by RecordLoss as RecordLoss::label,
    sets_discarded by SetLoss as SetLoss::label,
    set_octets_discarded by SetLoss as SetLoss::label,
}

impl Counts {
    /// Counts a set that will never be decoded.
    pub(crate) fn discard_set(&mut self, loss: SetLoss, octets: usize) {
        self.sets_discarded[loss as usize] += 1;
        self.set_octets_discarded[loss as usize] += octets as i64;
    }

    /// Counts a set that begins (1) or ceases (-1) to wait.
    pub(crate) fn wait(&mut self, sets: i64, octets: usize) {
        self.sets_waiting += sets;
        self.set_octets_waiting += sets * octets as i64;
    }
}

/// One counter of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// E.g. `datagrams_discarded`.
    pub counter: &'static str,
    /// E.g. `malformed` (FF-RB-02).
    pub reason: Option<&'static str>,
    /// E.g. `set_overrun`: the reason in detail, as the counters have it.
    pub label: Option<&'static str>,
    /// How many.
    pub count: i64,
}

/// What the ledger knows of one Exporter and Observation Domain, since the start.
#[derive(Clone, Debug)]
pub struct AccountSummary {
    /// Its address: of sFlow the agent's; None: nobody's account.
    pub exporter: Option<IpAddr>,
    /// `netflow_v5`, `ipfix`, ...; None where the datagram did not tell.
    pub format: Option<&'static str>,
    /// Observation Domain; None where the datagram did not tell.
    pub domain: Option<u32>,
    /// Counters that are not 0.
    pub entries: Vec<LedgerEntry>,
}

/// Whose account it is. With every field None: nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Party {
    exporter: Option<Address>,
    format: Option<FormatCode>,
    domain: Option<u32>,
}

impl Party {
    /// Who sent a datagram that does not tell more than where it came from.
    pub(crate) fn source(exporter: IpAddr) -> Self {
        Self {
            exporter: Some(mapped(exporter)),
            ..Self::default()
        }
    }
}

impl From<DomainKey> for Party {
    fn from(key: DomainKey) -> Self {
        Self {
            exporter: Some(key.exporter),
            format: Some(key.format),
            domain: Some(key.domain),
        }
    }
}

/// Nobody's account.
pub(crate) const NOBODY: usize = 0;

/// Where an account was when so many had been closed: as long as no other is, it is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    account: usize,
    closed: u64,
}

impl Place {
    /// It was never asked for.
    pub(crate) const UNKNOWN: Self = Self {
        account: NOBODY,
        closed: u64::MAX,
    };
}

/// Laid out as it stands here, with what every message touches in front and in few cache lines.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Account {
    last_seen_ns: i64,
    total: Counts,
    /// What rows have been written of.
    written: Counts,
    /// Records of the present interval that found the queue full.
    missing: i64,
    first_seen_ns: i64,
    party: Party,
}

impl Account {
    /// What is most neglected is closed first.
    fn neglect(&self, now_ns: i64) -> f64 {
        neglect(self.first_seen_ns, self.last_seen_ns, now_ns)
    }
}

/// All accounts of one decoder.
#[derive(Debug)]
pub struct Ledger {
    accounts: Vec<Account>,
    index: HashMap<Party, usize, RandomState>,
    free: Vec<usize>,
    /// Accounts that have records pending.
    pending: Vec<usize>,
    /// Accounts that were closed.
    closed: u64,
    /// Whether any account has records that found the queue full.
    any_missing: bool,
    limit: usize,
}

impl Ledger {
    /// At most `limit` accounts beside nobody's.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            accounts: vec![Account::default()],
            index: HashMap::default(),
            free: Vec::new(),
            pending: Vec::new(),
            closed: 0,
            any_missing: false,
            limit: limit.max(1),
        }
    }

    /// The account of a party, which was `hint` when it was last asked for; opened if there is none.
    pub(crate) fn open(&mut self, party: Party, hint: usize, now_ns: i64) -> usize {
        let found = match self.accounts.get(hint) {
            Some(account) if account.party == party => Some(hint),
            _ => self.index.get(&party).copied(),
        };
        let account = found.unwrap_or_else(|| self.insert(party, now_ns));
        self.accounts[account].last_seen_ns = now_ns;
        account
    }

    /// The account of a domain.
    pub(crate) fn of(&mut self, domain: &mut Domain) -> usize {
        if domain.account.closed != self.closed {
            let party = Party::from(domain.key);
            let account = self.open(party, domain.account.account, domain.last_seen_ns);
            let closed = self.closed;
            domain.account = Place { account, closed };
        }
        domain.account.account
    }

    /// Asks for the account of a domain.
    pub(crate) fn prefetch(&self, domain: &Domain) {
        if let Some(account) = self.accounts.get(domain.account.account) {
            prefetch(account);
        }
    }

    /// The account of a domain that was heard of.
    pub(crate) fn hear(&mut self, domain: &mut Domain) -> usize {
        let account = self.of(domain);
        self.accounts[account].last_seen_ns = domain.last_seen_ns;
        account
    }

    pub(crate) fn at(&mut self, account: usize) -> &mut Counts {
        &mut self.accounts[account].total
    }

    /// Counts records that became rows, which now wait for their batch to close.
    pub(crate) fn decoded(&mut self, account: usize, records: u64) {
        let counts = &mut self.accounts[account].total;
        if counts.records_pending == 0 {
            self.pending.push(account);
        }
        counts.records_decoded += records as i64;
        counts.records_pending += records as i64;
    }

    /// Counts biflows of a domain that became two rows: the second ones are decoded as well.
    pub(crate) fn split(&mut self, domain: &Domain, biflows: u64) {
        let party = Party::from(domain.key);
        let account = self.open(party, domain.account.account, domain.last_seen_ns);
        self.at(account).biflows_split += biflows as i64;
        self.decoded(account, biflows);
    }

    /// All pending records are in the queue, or lost.
    pub fn hand_over(&mut self, outcome: Result<(), RecordLoss>) {
        for account in self.pending.drain(..) {
            let account = &mut self.accounts[account];
            let counts = &mut account.total;
            let records = std::mem::take(&mut counts.records_pending);
            match outcome {
                Ok(()) => counts.records_queued += records,
                Err(loss) => counts.records_dropped[loss as usize] += records,
            }
            if outcome == Err(RecordLoss::QueueFull) {
                account.missing += records;
                self.any_missing = true;
            }
        }
    }

    /// The interval has ended. If all of it is in a journal, that gives again what found the queue full.
    pub fn end_interval(&mut self, is_in_journal: bool) {
        if !std::mem::take(&mut self.any_missing) {
            return;
        }
        for account in &mut self.accounts {
            let missing = std::mem::take(&mut account.missing);
            if is_in_journal {
                let dropped = &mut account.total.records_dropped;
                dropped[RecordLoss::QueueFull as usize] -= missing;
                dropped[RecordLoss::ToJournal as usize] += missing;
            }
        }
    }

    /// Counts receptions that the kernel dropped, and about how many datagrams were in them.
    pub fn kernel_dropped(&mut self, drops: u64, datagrams: u64) {
        let nobody = self.at(NOBODY);
        nobody.kernel_drops += drops as i64;
        nobody.kernel_drops_datagrams += datagrams as i64;
    }

    /// The decoder is lost to a panic, and with it what waited; `loss` is what becomes of its rows. What the accounts then lack of the
    /// counters is nobody's; `total` tells those by name and label, as far as they are final.
    pub fn close_after_panic(
        &mut self,
        loss: RecordLoss,
        total: impl Fn(&str, Option<&str>) -> Option<i64>,
    ) {
        self.hand_over(Err(loss));
        let no_template = SetLoss::NoTemplate as usize;
        for Account { total: counts, .. } in &mut self.accounts {
            counts.sets_discarded[no_template] += std::mem::take(&mut counts.sets_waiting);
            counts.set_octets_discarded[no_template] +=
                std::mem::take(&mut counts.set_octets_waiting);
        }
        let missing = self.sum().missing(total);
        self.at(NOBODY).add(&missing);
    }

    /// What all accounts together lack of the counters, which `total` tells by name and label as far as it has them.
    pub(crate) fn missing(
        &self,
        total: impl Fn(&str, Option<&str>) -> Option<i64>,
    ) -> Vec<LedgerEntry> {
        self.sum().missing(total).entries()
    }

    /// What has come since the last rows were written, as rows of the table `ledger`: `None` if nothing did. They are rows of `minute_ns`.
    /// Nothing is taken for written before [`Self::written`] says so.
    pub fn rows(&self, minute_ns: i64, worker: usize) -> Option<TableBatch> {
        let news = self.accounts.iter().flat_map(|account| {
            let mut news = account.total.clone();
            news.subtract(&account.written);
            let party = account.party;
            news.entries().into_iter().map(move |entry| (party, entry))
        });
        let rows: Vec<(Party, LedgerEntry)> = news.collect();
        (!rows.is_empty()).then(|| TableBatch {
            table: "ledger".into(),
            kind: TableKind::Ledger,
            batch: batch(&rows, minute_ns, worker),
        })
    }

    /// The rows given last are in the queue.
    pub fn written(&mut self) {
        for account in &mut self.accounts {
            account.written.clone_from(&account.total);
        }
    }

    /// All accounts that count anything, in no order.
    pub fn accounts(&self) -> Vec<AccountSummary> {
        let summary = |account: &Account| AccountSummary {
            exporter: account.party.exporter.map(unmapped),
            format: account.party.format.map(FormatCode::name),
            domain: account.party.domain,
            entries: account.total.entries(),
        };
        let summaries = self.accounts.iter().map(summary);
        summaries.filter(|each| !each.entries.is_empty()).collect()
    }

    fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        self.accounts
            .iter()
            .for_each(|account| sum.add(&account.total));
        sum
    }

    fn insert(&mut self, party: Party, now_ns: i64) -> usize {
        if self.index.len() >= self.limit {
            self.close_neglected(now_ns);
        }
        let account = self.free.pop().unwrap_or_else(|| {
            self.accounts.push(Account::default());
            self.accounts.len() - 1
        });
        self.accounts[account].party = party;
        self.accounts[account].first_seen_ns = now_ns;
        self.index.insert(party, account);
        account
    }

    /// Closes the sixteenth part of the accounts, those that are neglected most. What they say is nobody's from now on.
    fn close_neglected(&mut self, now_ns: i64) {
        let open = || {
            self.index
                .values()
                .map(|&account| (account, &self.accounts[account]))
        };
        let mut neglects: Vec<f64> = open().map(|(_, known)| known.neglect(now_ns)).collect();
        let Some((count, horizon)) = most_neglected(&mut neglects) else {
            return;
        };
        let closing: Vec<usize> = open()
            .filter(|(_, known)| known.neglect(now_ns) >= horizon)
            .map(|(account, _)| account)
            .take(count)
            .collect();
        for account in closing {
            let closed = std::mem::take(&mut self.accounts[account]);
            self.index.remove(&closed.party);
            self.free.push(account);
            self.closed += 1;
            let nobody = &mut self.accounts[NOBODY];
            nobody.total.add(&closed.total);
            nobody.written.add(&closed.written);
            nobody.missing += closed.missing;
        }
        let has_pending = |account: usize| self.accounts[account].total.records_pending != 0;
        self.pending
            .retain(|&account| account != NOBODY && has_pending(account));
        if has_pending(NOBODY) {
            self.pending.push(NOBODY);
        }
    }
}

/// Columns of the table `ledger`.
fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let exporter = field("exporter", DataType::FixedSizeBinary(16));
    Arc::new(Schema::new(vec![
        field("minute", timestamp(TimeUnit::Microsecond)),
        field("worker", DataType::UInt16),
        with_semantic(exporter, Some("ip")),
        field("format", DataType::Utf8),
        field("domain", DataType::UInt32),
        field("target", DataType::Utf8),
        field("counter", DataType::Utf8),
        field("reason", DataType::Utf8),
        field("label", DataType::Utf8),
        field("count", DataType::Int64),
    ]))
}

fn batch(rows: &[(Party, LedgerEntry)], minute_ns: i64, worker: usize) -> RecordBatch {
    let text = |value: fn(&(Party, LedgerEntry)) -> Option<&'static str>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<StringArray>())
    };
    let exporters = rows.iter().map(|(party, _)| party.exporter);
    let exporters = FixedSizeBinaryArray::try_from_sparse_iter_with_size(exporters, 16)
        .expect("addresses have 16 octets");
    let minutes = TimestampMicrosecondArray::from_value(minute_ns.div_euclid(1000), rows.len());
    let worker = u16::try_from(worker).ok();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(minutes.with_timezone("UTC")),
        Arc::new(std::iter::repeat_n(worker, rows.len()).collect::<UInt16Array>()),
        Arc::new(exporters),
        text(|(party, _)| party.format.map(FormatCode::name)),
        Arc::new(
            rows.iter()
                .map(|(party, _)| party.domain)
                .collect::<UInt32Array>(),
        ),
        text(|_| None),
        text(|(_, entry)| Some(entry.counter)),
        text(|(_, entry)| entry.reason),
        text(|(_, entry)| entry.label),
        Arc::new(
            rows.iter()
                .map(|(_, entry)| entry.count)
                .collect::<Int64Array>(),
        ),
    ];
    RecordBatch::try_new(schema(), columns).expect("every column has a value or null for every row")
}

#[cfg(test)]
mod tests;
