//! Tables while they grow, and the record batches they become.

mod message;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Schema, SchemaRef};

use crate::column::{Absent, Address, Column};
use crate::template::cache::Session;

pub(crate) use message::MessageValue;

/// Format names, as the `type` column shows them.
pub(crate) static FORMAT_NAMES: &[&str] = &[
    "netflow_v1",
    "netflow_v5",
    "netflow_v6",
    "netflow_v7",
    "netflow_v8",
    "netflow_v9",
    "ipfix",
    "sflow_v2",
    "sflow_v4",
    "sflow_v5",
];

/// Which format a message is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum FormatCode {
    Netflow1,
    Netflow5,
    Netflow6,
    Netflow7,
    Netflow8,
    Netflow9,
    Ipfix,
    Sflow2,
    Sflow4,
    Sflow5,
}

impl FormatCode {
    const ALL: [Self; 10] = [
        Self::Netflow1,
        Self::Netflow5,
        Self::Netflow6,
        Self::Netflow7,
        Self::Netflow8,
        Self::Netflow9,
        Self::Ipfix,
        Self::Sflow2,
        Self::Sflow4,
        Self::Sflow5,
    ];

    pub(crate) fn name(self) -> &'static str {
        FORMAT_NAMES[self as usize]
    }

    /// The format whose number this is.
    pub(crate) fn of_octet(octet: u8) -> Option<Self> {
        Self::ALL.get(usize::from(octet)).copied()
    }
}

/// What all records of a message have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageContext {
    pub(crate) format: FormatCode,
    /// Index of the Observation Domain's state.
    pub(crate) domain_index: usize,
    /// The same of the sender, by whose templates records are read: another one where a mediator hands them on (FF-Q-10).
    pub(crate) sender_index: usize,
    pub(crate) session: Session,
    /// Who it is from: sFlow's agent address, else the source address (FF-SF-04), or whom a mediator names. IPv4 as `::ffff:a.b.c.d`.
    pub(crate) exporter: Address,
    /// Source address of the datagram, in the same form.
    pub(crate) source: Address,
    pub(crate) domain: Option<u32>,
    pub(crate) sequence: Option<u32>,
    pub(crate) template_id: Option<u16>,
    pub(crate) received_ns: i64,
    /// Milliseconds since the UNIX epoch, as the header says; sFlow's does not.
    pub(crate) export_time_ms: Option<i64>,
    /// Milliseconds since the exporter started, if the header has it.
    pub(crate) uptime_ms: Option<u32>,
    /// v5's sampling interval.
    pub(crate) header_sampling_rate: Option<u32>,
}

impl MessageContext {
    /// When the exporter started, milliseconds since the UNIX epoch, if the header tells (spec 2.1.5).
    pub(crate) fn boot_ms(&self) -> Option<i64> {
        Some(self.export_time_ms? - i64::from(self.uptime_ms?))
    }
}

/// Consecutive rows of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) records: usize,
    pub(crate) context: MessageContext,
}

/// How a column of a table is filled.
#[derive(Debug)]
pub(crate) enum TableColumn {
    /// By the ops of a plan.
    Field(Column),
    /// By run, at the flush: costs nothing per record until then.
    Message(MessageValue),
    /// By multiplication of two other columns, at the flush.
    Scaled { value: usize, rate: usize },
}

/// What kind of rows a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Flow Records of every version, in the `flows` schema.
    Flows,
    /// Flow Records with one set of elements, in the `wire` schema.
    Data,
    /// Options data (RFC 7011 section 3.4.2).
    Options,
    /// Counter samples (sFlow).
    Counters,
    /// What became of datagrams and records (architecture section 7).
    Ledger,
}

impl TableKind {
    /// `flows`, `data`, `options`, `counters` or `ledger`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::Data => "data",
            Self::Options => "options",
            Self::Counters => "counters",
            Self::Ledger => "ledger",
        }
    }
}

/// A finished batch of one table.
#[derive(Clone, Debug)]
pub struct TableBatch {
    /// `flows`, `ledger`, or `<kind>-<hash of its elements>`.
    pub table: Arc<str>,
    /// What its rows are.
    pub kind: TableKind,
    /// The rows.
    pub batch: RecordBatch,
}

/// What a column takes beside its values: few rows of many columns are not small.
const COLUMN_OCTETS: usize = 512;

/// A table while it grows.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TableKind,
    schema: SchemaRef,
    /// Those of the schema, then columns that only feed others.
    columns: Vec<TableColumn>,
    runs: Vec<Run>,
    rows: usize,
    /// Without what its lists hold: a table with other lists is another table.
    plain_name: Arc<str>,
    lists: String,
}

impl Table {
    pub(crate) fn new(
        name: Arc<str>,
        kind: TableKind,
        schema: SchemaRef,
        columns: Vec<TableColumn>,
    ) -> Self {
        Self {
            plain_name: name.clone(),
            name,
            kind,
            schema,
            columns,
            runs: Vec::new(),
            rows: 0,
            lists: String::new(),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Those of the schema, then columns that only feed others.
    pub(crate) fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// Octets of the values so far and of what holds them, about.
    pub(crate) fn octets(&self) -> usize {
        if self.rows == 0 {
            return 0;
        }
        let fields = self.columns.iter().map(|column| {
            if let TableColumn::Field(column) = column {
                column.octets()
            } else {
                0
            }
        });
        fields.sum::<usize>()
            + self.columns.len() * COLUMN_OCTETS
            + self.runs.len() * size_of::<Run>()
    }

    /// The column that an op writes, filled up to the rows before the tile.
    pub(crate) fn field(&mut self, column: usize) -> Option<&mut Column> {
        let rows = self.rows;
        let TableColumn::Field(column) = self.columns.get_mut(column)? else {
            return None;
        };
        if column.len() < rows {
            column.pad_to(rows);
        }
        Some(column)
    }

    /// Ends records whose ops have run.
    pub(crate) fn add_records(&mut self, records: usize) {
        self.rows += records;
    }

    /// The messages of records that were added.
    pub(crate) fn add_runs(&mut self, runs: &[Run]) {
        self.runs.extend_from_slice(runs);
    }

    /// All rows as a batch; the table is empty afterwards. `None` if it was.
    pub(crate) fn flush(&mut self, absent: &mut Absent) -> Option<TableBatch> {
        if self.rows == 0 {
            self.give_memory_back();
            return None;
        }
        let rows = std::mem::take(&mut self.rows);
        let width = self.schema.fields().len();
        let mut arrays: Vec<Option<ArrayRef>> = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter_mut().enumerate() {
            // Columns beyond the schema are counts and rates that only `Scaled` reads.
            let field = self.schema.fields().get(index);
            arrays.push(match column {
                TableColumn::Field(column) => {
                    let data_type = field.map_or(hidden_type(column), |field| field.data_type());
                    Some(column.finish(data_type, rows, absent))
                }
                TableColumn::Message(value) => Some(value.column(&self.runs, rows, absent)),
                TableColumn::Scaled { .. } => None,
            });
        }
        for (index, column) in self.columns.iter().enumerate() {
            if let TableColumn::Scaled { value, rate } = column {
                arrays[index] = arrays[*value]
                    .as_ref()
                    .zip(arrays[*rate].as_ref())
                    .map(|(value, rate)| scale(value, rate, absent));
            }
        }
        self.runs.clear();
        let arrays: Vec<ArrayRef> = arrays.into_iter().take(width).flatten().collect();
        self.name_lists(&arrays);
        let batch = RecordBatch::try_new(self.schema.clone(), arrays)
            .expect("columns are padded to the table's rows");
        Some(TableBatch {
            table: self.name.clone(),
            kind: self.kind,
            batch,
        })
    }
}

impl Table {
    /// Gives the columns of lists the type that they have become, and the table the name that goes with it.
    fn name_lists(&mut self, arrays: &[ArrayRef]) {
        let mut lists = String::new();
        for column in &mut self.columns {
            if let TableColumn::Field(Column::Lists(column)) = column {
                column.describe(&mut lists);
            }
        }
        if lists == self.lists {
            return;
        }
        let hash = fingerprint(&format!("{}{lists}", self.plain_name));
        self.name = format!("{}-{hash:016x}", self.kind.name()).into();
        self.lists = lists;
        let fields = self
            .schema
            .fields()
            .iter()
            .zip(arrays)
            .map(|(field, array)| {
                let field = field.as_ref().clone();
                field.with_data_type(array.data_type().clone())
            });
        self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    }

    /// A table that had no rows for a whole interval keeps no room for those it had before.
    fn give_memory_back(&mut self) {
        for column in &mut self.columns {
            if let TableColumn::Field(column) = column {
                column.give_memory_back();
            }
        }
        self.runs = Vec::new();
    }
}

/// For names that do not change from run to run: FNV-1a.
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Hidden columns are `bytes`, `packets` (uint64) or `sampling_rate` (uint32).
fn hidden_type(column: &Column) -> &'static DataType {
    if matches!(column, Column::U64(_)) {
        &DataType::UInt64
    } else {
        &DataType::UInt32
    }
}

/// FF-SMP-01: raw counters times the rate; null where the rate is unknown.
fn scale(value: &ArrayRef, rate: &ArrayRef, absent: &mut Absent) -> ArrayRef {
    let (value, rate) = (
        value.as_primitive::<UInt64Type>(),
        rate.as_primitive::<UInt32Type>(),
    );
    if rate.values().iter().all(|&rate| rate == 0) {
        return absent.nulls(&DataType::UInt64, value.len());
    }
    if value.null_count() == 0 && rate.null_count() == 0 {
        let mut is_missing = false;
        let pairs = value.values().iter().zip(rate.values());
        let scaled: Vec<u64> = pairs
            .map(|(&value, &rate)| {
                let (scaled, overflows) = value.overflowing_mul(u64::from(rate));
                is_missing |= overflows || rate == 0;
                scaled
            })
            .collect();
        if !is_missing {
            return Arc::new(UInt64Array::from(scaled));
        }
    }
    let scaled = value.iter().zip(rate.iter()).map(|(value, rate)| {
        let rate = rate.filter(|&rate| rate > 0)?;
        value?.checked_mul(u64::from(rate))
    });
    Arc::new(scaled.collect::<UInt64Array>())
}

/// An address in the one form that all address columns have.
pub(crate) fn mapped(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(ipv4) => ipv4.to_ipv6_mapped().octets(),
        IpAddr::V6(ipv6) => ipv6.octets(),
    }
}

/// The reverse of `mapped`.
pub(crate) fn unmapped(octets: Address) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}
