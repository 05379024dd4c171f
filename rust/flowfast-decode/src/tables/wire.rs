//! The `wire` schema: a table for each set of elements, whatever the order of a template's fields (FF-ORD-02).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::{Tables, element_type};
use crate::batch::{MessageValue, Table, TableColumn, TableKind};
use crate::column::Column;
use crate::convert::{Convert, natural, timestamp};
use crate::element::{AbstractDataType, ElementId};
use crate::plan::{Edge, FieldSource, Layout, Op, uptime};
use crate::schema::with_semantic;
use crate::template::RecordKind;

/// Columns that every `wire` table begins with.
const WIRE_MESSAGE_COLUMNS: [(&str, MessageValue); 9] = [
    ("_exporter", MessageValue::Exporter),
    ("_source", MessageValue::Source),
    ("_domain", MessageValue::Domain),
    ("_template", MessageValue::TemplateId),
    ("_time", MessageValue::ExportTime),
    ("_received", MessageValue::TimeReceived),
    ("_type", MessageValue::FormatName),
    ("_sequence", MessageValue::Sequence),
    ("_uptime", MessageValue::Uptime),
];

/// Identifies a column of a `wire` table: two templates with the same set of these share it, whatever their order (FF-ORD-02).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct WireColumn {
    /// Position among the scope fields, whose order is kept (FF-IX-18); `usize::MAX` for the others.
    scope: usize,
    element: ElementId,
    /// 1 for the first field of this element, 2 for the second, ... (FF-IX-16).
    occurrence: usize,
    /// An illegal length or a widened integer makes another column.
    data_type: DataType,
}

/// A column of a `wire` table and the field of this template that fills it.
struct WireField {
    column: WireColumn,
    source: FieldSource,
    convert: Convert,
    semantic: Option<&'static str>,
}

impl Tables {
    pub(super) fn wire_plan(&mut self, layout: &Layout<'_>) -> (usize, Vec<Op>) {
        let mut fields = wire_fields(layout);
        fields.sort_by(|a, b| a.column.cmp(&b.column));
        let kind = layout.definition.kind;
        // Times relative to the exporter's start are also given as absolute ones, unless the exporter sends those itself.
        let base = WIRE_MESSAGE_COLUMNS.len() + fields.len();
        let mut derived = Vec::new();
        for (name, sent, edge) in [
            ("flowStartMilliseconds", 152, Edge::Start),
            ("flowEndMilliseconds", 153, Edge::End),
        ] {
            if layout.find(ElementId::iana(sent)).is_none()
                && let Some(op) = uptime(layout, base + derived.len(), edge, TimeUnit::Millisecond)
            {
                derived.push(Derived { name, op });
            }
        }
        let key: Vec<WireColumn> = fields
            .iter()
            .map(|field| field.column.clone())
            .chain(derived.iter().map(|d| d.key()))
            .collect();
        let table = match self.wire_index.get(&(kind, key.clone())) {
            Some(&table) => table,
            None => {
                let table = self.add(wire_table(kind, &key, &fields, &derived));
                self.wire_index.insert((kind, key), table);
                table
            }
        };
        let ops = fields.iter().enumerate().map(|(index, field)| Op::Field {
            column: WIRE_MESSAGE_COLUMNS.len() + index,
            source: field.source,
            convert: field.convert,
        });
        (
            table,
            ops.chain(derived.into_iter().map(|d| d.op)).collect(),
        )
    }
}

/// A column that is computed while decoding.
struct Derived {
    name: &'static str,
    op: Op,
}

impl Derived {
    /// Ids above any element's keep derived columns apart from sent ones.
    fn key(&self) -> WireColumn {
        let id = if self.name == "flowStartMilliseconds" {
            u32::MAX - 1
        } else {
            u32::MAX
        };
        WireColumn {
            scope: usize::MAX,
            element: ElementId { pen: u32::MAX, id },
            occurrence: 1,
            data_type: timestamp(TimeUnit::Millisecond),
        }
    }
}

fn wire_fields(layout: &Layout<'_>) -> Vec<WireField> {
    let scope_count = usize::from(layout.definition.scope_count);
    let mut occurrences: HashMap<ElementId, usize> = HashMap::new();
    let fields = layout.values().map(|(index, element, length, source)| {
        let occurrence = occurrences.entry(element).or_insert(0);
        *occurrence += 1;
        let (data_type, convert, semantic) =
            scope_type(element, length).unwrap_or_else(|| element_type(element, Some(length)));
        let scope = if index < scope_count {
            index
        } else {
            usize::MAX
        };
        WireField {
            column: WireColumn {
                scope,
                element,
                occurrence: *occurrence,
                data_type,
            },
            source,
            convert,
            semantic,
        }
    });
    fields.collect()
}

/// v9 scopes have no data type of their own (RFC 3954 section 6.1): four octets of the System scope are the exporter's address,
/// other short ones are numbers.
fn scope_type(
    element: ElementId,
    length: u16,
) -> Option<(DataType, Convert, Option<&'static str>)> {
    let scope = element
        .id
        .checked_sub(crate::element::NETFLOW9_SCOPE_BASE)
        .filter(|_| element.pen == 0)?;
    match (scope, length) {
        (1, 4) => Some((DataType::FixedSizeBinary(4), Convert::Fixed, Some("ip"))),
        (2..=5, 1..=8) => natural(AbstractDataType::Unsigned32, length.max(4))
            .map(|(data_type, convert)| (data_type, convert, None)),
        _ => None,
    }
}

fn wire_table(
    kind: RecordKind,
    key: &[WireColumn],
    fields: &[WireField],
    derived: &[Derived],
) -> Table {
    let mut names: HashSet<String> = HashSet::new();
    let mut arrow_fields: Vec<Field> = WIRE_MESSAGE_COLUMNS
        .iter()
        .map(|(name, value)| message_field(name, *value))
        .collect();
    for WireField {
        column, semantic, ..
    } in fields
    {
        let mut name = column.element.column_name();
        // Two elements of one name: the second goes by its number.
        if column.occurrence == 1 && names.contains(&name) {
            name = format!("e{}_i{}", column.element.pen, column.element.id);
        }
        if column.occurrence > 1 {
            name = format!("{name}_{}", column.occurrence);
        }
        names.insert(name.clone());
        let field = with_semantic(Field::new(name, column.data_type.clone(), true), *semantic);
        let mut metadata = field.metadata().clone();
        metadata.insert(
            "flowfast.element".to_owned(),
            format!("{}:{}", column.element.pen, column.element.id),
        );
        if column.scope != usize::MAX {
            metadata.insert("flowfast.scope".to_owned(), "true".to_owned());
        }
        arrow_fields.push(field.with_metadata(metadata));
    }
    arrow_fields.extend(
        derived
            .iter()
            .map(|d| Field::new(d.name, timestamp(TimeUnit::Millisecond), true)),
    );
    let columns = WIRE_MESSAGE_COLUMNS
        .iter()
        .map(|(_, value)| TableColumn::Message(*value));
    let columns = columns
        .chain(
            arrow_fields[WIRE_MESSAGE_COLUMNS.len()..]
                .iter()
                .map(|field| TableColumn::Field(Column::new(field.data_type()))),
        )
        .collect();
    let kind = match kind {
        RecordKind::Data => TableKind::Data,
        RecordKind::Options => TableKind::Options,
        RecordKind::Counters => TableKind::Counters,
    };
    let name = format!("{}-{:016x}", kind.name(), fingerprint(key));
    Table::new(
        name.into(),
        kind,
        Arc::new(Schema::new(arrow_fields)),
        columns,
    )
}

fn message_field(name: &str, value: MessageValue) -> Field {
    let data_type = match value {
        MessageValue::FormatName => {
            DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into())
        }
        MessageValue::TimeReceived => timestamp(TimeUnit::Microsecond),
        MessageValue::ExportTime => timestamp(TimeUnit::Millisecond),
        MessageValue::Exporter | MessageValue::Source => DataType::FixedSizeBinary(16),
        MessageValue::Domain | MessageValue::Sequence | MessageValue::Uptime => DataType::UInt32,
        MessageValue::TemplateId => DataType::UInt16,
    };
    with_semantic(
        Field::new(name, data_type, true),
        matches!(value, MessageValue::Exporter | MessageValue::Source).then_some("ip"),
    )
}

/// A table's name must not change from run to run: FNV-1a over its elements.
fn fingerprint(key: &[WireColumn]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for column in key {
        let text = format!(
            "{}:{}:{}:{}:{};",
            column.scope,
            column.element.pen,
            column.element.id,
            column.occurrence,
            column.data_type
        );
        for octet in text.bytes() {
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}
