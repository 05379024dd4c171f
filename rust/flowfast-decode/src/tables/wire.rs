//! The `wire` schema: a table for each set of elements, whatever the order of a template's fields (FF-ORD-02).

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use arrow_schema::{Field, Schema, TimeUnit};

use super::Tables;
use crate::batch::{MessageValue, Table, TableColumn, TableKind, fingerprint};
use crate::column::Column;
use crate::convert::{Convert, timestamp};
use crate::element::ElementId;
use crate::plan::{Edge, Layout, Op, ValueColumn, ValueField, uptime, value_fields};
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

impl Tables {
    pub(super) fn wire_plan(&mut self, layout: &Layout<'_>) -> (usize, Vec<Op>) {
        let mut fields = value_fields(layout);
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
        let key: Vec<ValueColumn> = fields
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
        let ops = fields.iter().enumerate().map(|(index, field)| {
            let (column, source) = (WIRE_MESSAGE_COLUMNS.len() + index, field.source);
            match field.convert {
                Convert::List(_) => Op::List { column, source },
                convert => Op::Field {
                    column,
                    source,
                    convert,
                },
            }
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
    fn key(&self) -> ValueColumn {
        let id = if self.name == "flowStartMilliseconds" {
            u32::MAX - 1
        } else {
            u32::MAX
        };
        ValueColumn {
            scope: usize::MAX,
            element: ElementId { pen: u32::MAX, id },
            occurrence: 1,
            data_type: timestamp(TimeUnit::Millisecond),
            learned: None,
            object: None,
        }
    }
}

fn wire_table(
    kind: RecordKind,
    key: &[ValueColumn],
    fields: &[ValueField],
    derived: &[Derived],
) -> Table {
    let mut names = HashSet::new();
    let mut arrow_fields: Vec<Field> = WIRE_MESSAGE_COLUMNS
        .iter()
        .map(|(name, value)| message_field(name, *value))
        .collect();
    arrow_fields.extend(fields.iter().map(|field| {
        let data_type = field.column.data_type.clone();
        field
            .column
            .arrow_field(&mut names, data_type, field.semantic)
    }));
    arrow_fields.extend(
        derived
            .iter()
            .map(|d| Field::new(d.name, timestamp(TimeUnit::Millisecond), true)),
    );
    let columns = WIRE_MESSAGE_COLUMNS
        .iter()
        .map(|(_, value)| TableColumn::Message(*value));
    let values = fields
        .iter()
        .map(|field| Column::of(field.convert, &field.column.data_type));
    let derived = derived
        .iter()
        .map(|_| Column::new(&timestamp(TimeUnit::Millisecond)));
    let columns = columns
        .chain(values.chain(derived).map(TableColumn::Field))
        .collect();
    let kind = match kind {
        RecordKind::Data => TableKind::Data,
        RecordKind::Options => TableKind::Options,
        RecordKind::Counters => TableKind::Counters,
    };
    let name = format!("{}-{:016x}", kind.name(), fingerprint(&describe(key)));
    Table::new(
        name.into(),
        kind,
        Arc::new(Schema::new(arrow_fields)),
        columns,
    )
}

fn message_field(name: &str, value: MessageValue) -> Field {
    with_semantic(
        Field::new(name, value.data_type(), true),
        matches!(value, MessageValue::Exporter | MessageValue::Source).then_some("ip"),
    )
}

/// Tells the tables of different columns apart.
fn describe(key: &[ValueColumn]) -> String {
    let mut text = String::new();
    for column in key {
        let ElementId { pen, id } = column.element;
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{}:{pen}:{id}:{}:{};",
            column.scope, column.occurrence, column.data_type
        );
        if let Some(learned) = &column.learned {
            let _ = write!(text, "{learned:?};");
        }
        if let Some(object) = &column.object {
            let _ = write!(text, "{object:?};");
        }
    }
    text
}
