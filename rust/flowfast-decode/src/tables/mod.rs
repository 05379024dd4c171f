//! The tables of a decoder: `flows`, or in the `wire` schema one for each set of elements.

mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::batch::{MessageValue, Table, TableBatch, TableColumn, TableKind};
use crate::column::{Absent, Column};
use crate::convert::{Convert, natural};
use crate::element::ElementId;
use crate::error::Warning;
use crate::plan::{
    DecodePlan, Layout, NamedExporter, Op, ReversePlan, SectionField, TargetColumn, ValueColumn,
    element_type, flow_op, list_op, neighbourhoods, reverse_counters, reversed, sampling_op,
    with_inner,
};
use crate::schema::{FLOW_COLUMNS, FlowColumn, SchemaKind, Selected, Value, with_semantic};
use crate::stats::Stats;
use crate::template::RecordKind;
use crate::template::options::{OptionsFields, RateFields, mib_fields, property_ids};
use crate::template::types::TypeFields;

/// All tables.
#[derive(Debug)]
pub(crate) struct Tables {
    schema: SchemaKind,
    split_biflows: bool,
    /// Columns of `flows`, and those that only feed its scaled ones.
    selected: Vec<Selected>,
    hidden: Vec<&'static FlowColumn>,
    tables: Vec<Option<Table>>,
    wire_index: HashMap<(RecordKind, Vec<ValueColumn>), usize>,
    /// Plans that write to each table.
    users: Vec<usize>,
    free: Vec<usize>,
    absent: Absent,
}

/// The Arrow schema of `flows` with these columns.
pub(crate) fn flows_schema(selected: &[Selected]) -> SchemaRef {
    let fields: Vec<Field> = selected
        .iter()
        .map(|column| match column {
            Selected::Flow(flow) => flow.field(),
            Selected::Element(element) => {
                let (data_type, _, semantic) = extra_type(*element, None);
                with_semantic(Field::new(element.column_name(), data_type, true), semantic)
            }
        })
        .collect();
    Arc::new(Schema::new(fields))
}

impl Tables {
    pub(crate) fn new(schema: SchemaKind, selected: Vec<Selected>, split_biflows: bool) -> Self {
        let mut tables = Self {
            schema,
            split_biflows,
            hidden: hidden_columns(&selected),
            selected,
            tables: Vec::new(),
            wire_index: HashMap::new(),
            users: Vec::new(),
            free: Vec::new(),
            absent: Absent::default(),
        };
        if schema == SchemaKind::Flows {
            let table = tables.flows_table();
            tables.add(table);
        }
        tables
    }

    /// Whether there may be a column for an element: in `wire` for any, in `flows` where one was asked for that it feeds.
    pub(crate) fn reads(&self, element: ElementId) -> bool {
        let feeds = |flow: &FlowColumn| flow.feeds.iter().any(|feed| feed.element == element);
        self.schema == SchemaKind::Wire
            || self.selected.iter().any(|selected| match selected {
                Selected::Flow(flow) => feeds(flow),
                Selected::Element(selected) => *selected == element,
            })
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Table> {
        self.tables.get_mut(index)?.as_mut()
    }

    /// What a table is called.
    pub(crate) fn name(&self, index: usize) -> Option<String> {
        Some(self.tables.get(index)?.as_ref()?.name.to_string())
    }

    /// The columns of a table, in the order in which ops know them.
    pub(crate) fn target_columns(&self, index: usize) -> Vec<TargetColumn> {
        let Some(table) = self.tables.get(index).and_then(Option::as_ref) else {
            return Vec::new();
        };
        let shown = table.schema().fields().iter();
        let shown = shown.map(|field| (field.name().clone(), field.data_type().clone()));
        let hidden = (self.hidden.iter()).map(|flow| (flow.name.to_owned(), flow.data_type()));
        let described = shown.chain(hidden).zip(table.columns());
        described
            .map(|((name, data_type), column)| TargetColumn {
                name,
                data_type,
                filled_by: match column {
                    TableColumn::Field(_) => None,
                    TableColumn::Message(_) => Some("the message"),
                    TableColumn::Scaled { .. } => Some("multiplication by sampling_rate"),
                },
            })
            .collect()
    }

    /// Rows in all tables.
    pub(crate) fn rows(&self) -> usize {
        self.tables.iter().flatten().map(Table::rows).sum()
    }

    /// Octets in all tables, about.
    pub(crate) fn octets(&self) -> usize {
        self.tables.iter().flatten().map(Table::octets).sum()
    }

    /// All rows, a batch a table. `wire` tables that no plan writes to any more go.
    pub(crate) fn flush(&mut self) -> Vec<TableBatch> {
        let batches = self
            .tables
            .iter_mut()
            .flatten()
            .filter_map(|table| table.flush(&mut self.absent))
            .collect();
        self.drop_unused();
        batches
    }

    /// Drops `wire` tables that are empty and that no plan writes to.
    fn drop_unused(&mut self) {
        if self.schema != SchemaKind::Wire {
            return;
        }
        let before = self.free.len();
        for (index, table) in self.tables.iter_mut().enumerate() {
            if self.users[index] == 0 && table.take_if(|table| table.rows() == 0).is_some() {
                self.free.push(index);
            }
        }
        if self.free.len() > before {
            self.wire_index
                .retain(|_, table| self.tables[*table].is_some());
        }
    }

    /// Plans that wrote to these tables, one entry a plan, are gone.
    pub(crate) fn release(&mut self, users: &[usize]) {
        for &index in users {
            self.users[index] -= 1;
        }
        if !users.is_empty() {
            self.drop_unused();
        }
    }

    /// Compiles a template against the schema.
    pub(crate) fn compile(&mut self, layout: &Layout<'_>, stats: &mut Stats) -> DecodePlan {
        warn_about_octets(layout, stats);
        let kind = layout.definition.kind;
        let options_layout = (kind == RecordKind::Options).then_some(layout);
        let options = options_layout.and_then(OptionsFields::find);
        // Only `wire` has columns that could be named and typed.
        let is_wire = self.schema == SchemaKind::Wire;
        let (table, ops) = match self.schema {
            SchemaKind::Flows if kind != RecordKind::Data => (None, Vec::new()),
            SchemaKind::Flows => (Some(0), self.flow_plan(layout)),
            SchemaKind::Wire => {
                let (table, ops) = self.wire_plan(layout);
                (Some(table), ops)
            }
        };
        if let Some(table) = table {
            self.users[table] += 1;
        }
        DecodePlan {
            shape: layout.shape.clone(),
            kind,
            table,
            neighbourhoods: neighbourhoods(&layout.shape, &ops),
            ops: ops.into(),
            section: (kind == RecordKind::Data && !is_wire)
                .then(|| SectionField::find(layout))
                .flatten(),
            property_ids: match kind {
                RecordKind::Data if !is_wire => property_ids(layout),
                _ => Box::default(),
            },
            reverse: table
                .filter(|_| self.split_biflows && !is_wire)
                .and_then(|_| self.reverse_plan(layout)),
            has_lists: layout.lists().next().is_some(),
            told_by_value: layout.told_by_value(),
            has_unknown: is_wire && layout.values().any(|(_, id, ..)| id.describe().is_none()),
            mib_fields: match is_wire {
                true => mib_fields(layout),
                false => Box::default(),
            },
            types: options_layout
                .filter(|_| is_wire)
                .and_then(TypeFields::find),
            exporter: NamedExporter::find(layout).filter(|_| {
                !options
                    .as_ref()
                    .is_some_and(OptionsFields::are_of_templates)
            }),
            options,
            tells_rate: kind == RecordKind::Data && RateFields::find(layout).is_some(),
        }
    }

    fn add(&mut self, table: Table) -> usize {
        if let Some(index) = self.free.pop() {
            self.tables[index] = Some(table);
            return index;
        }
        self.tables.push(Some(table));
        self.users.push(0);
        self.tables.len() - 1
    }

    fn flows_table(&self) -> Table {
        let schema = flows_schema(&self.selected);
        let position = |name: &str| {
            let shown = self
                .selected
                .iter()
                .position(|column| matches!(column, Selected::Flow(flow) if flow.name == name));
            shown.or_else(|| {
                Some(self.selected.len() + self.hidden.iter().position(|flow| flow.name == name)?)
            })
        };
        let scaled = |value| TableColumn::Scaled {
            value: position(value).unwrap_or_default(),
            rate: position("sampling_rate").unwrap_or_default(),
        };
        let column = |flow: &FlowColumn| match flow.value {
            Value::FormatName => TableColumn::Message(MessageValue::FormatName),
            Value::TimeReceived => TableColumn::Message(MessageValue::TimeReceived),
            Value::Exporter => TableColumn::Message(MessageValue::Exporter),
            Value::Domain => TableColumn::Message(MessageValue::Domain),
            Value::Sequence => TableColumn::Message(MessageValue::Sequence),
            Value::TemplateId => TableColumn::Message(MessageValue::TemplateId),
            Value::BytesScaled => scaled("bytes"),
            Value::PacketsScaled => scaled("packets"),
            _ => TableColumn::Field(Column::new(&flow.data_type())),
        };
        let shown = self
            .selected
            .iter()
            .enumerate()
            .map(|(index, selected)| match selected {
                Selected::Flow(flow) => column(flow),
                Selected::Element(_) => {
                    TableColumn::Field(Column::new(schema.field(index).data_type()))
                }
            });
        let columns = shown
            .chain(self.hidden.iter().map(|flow| column(flow)))
            .collect();
        Table::new("flows".into(), TableKind::Flows, schema.clone(), columns)
    }

    /// `None` if records have no reverse direction.
    fn reverse_plan(&self, layout: &Layout<'_>) -> Option<ReversePlan> {
        let counters = reverse_counters(layout);
        if counters.is_empty() {
            return None;
        }
        let definition = reversed(layout.definition);
        let mut reversed = Layout::new(&definition)?;
        reversed.has_biflows = false; // each of its rows is one direction
        Some(ReversePlan {
            counters,
            ops: self.flow_plan(&reversed).into(),
        })
    }

    fn flow_plan(&self, layout: &Layout<'_>) -> Vec<Op> {
        let definition = with_inner(layout.definition);
        let mut with_inner = definition.as_ref().and_then(Layout::new);
        if let Some(with_inner) = &mut with_inner {
            with_inner.has_biflows = layout.has_biflows;
        }
        let layout = with_inner.as_ref().unwrap_or(layout);
        let mut ops = Vec::new();
        let mut unfilled = Vec::new();
        let hidden = self.hidden.iter().map(|flow| Selected::Flow(flow));
        for (index, selected) in self.selected.iter().copied().chain(hidden).enumerate() {
            match selected {
                Selected::Flow(flow) => {
                    let op = flow_op(layout, index, flow);
                    if op.is_none() {
                        unfilled.push((index, flow));
                    }
                    ops.extend(op);
                }
                Selected::Element(element) => ops.extend(element_op(layout, index, element)),
            }
        }
        ops.extend(sampling_op(layout, &unfilled));
        ops.extend(list_op(layout, &unfilled));
        ops
    }
}

/// What `bytes_scaled` and `packets_scaled` are computed from and nobody asked to see.
fn hidden_columns(selected: &[Selected]) -> Vec<&'static FlowColumn> {
    let has = |name: &str| {
        selected
            .iter()
            .any(|column| matches!(column, Selected::Flow(flow) if flow.name == name))
    };
    let mut needed = Vec::new();
    for (scaled, value) in [("bytes_scaled", "bytes"), ("packets_scaled", "packets")] {
        if has(scaled) {
            needed.extend([value, "sampling_rate"]);
        }
    }
    FLOW_COLUMNS
        .iter()
        .filter(|flow| needed.contains(&flow.name) && !has(flow.name))
        .collect()
}

/// Type, conversion and semantic of an extra column of `flows`: its schema is fixed before any list is seen, so lists are octets.
fn extra_type(
    element: ElementId,
    length: Option<u16>,
) -> (DataType, Convert, Option<&'static str>) {
    match element_type(element.describe(), length) {
        (_, Convert::List(_), _) => (DataType::Binary, Convert::Octets, None),
        other => other,
    }
}

/// Fills an extra column of `flows`, if the template's field is what the column was made for.
fn element_op(layout: &Layout<'_>, column: usize, element: ElementId) -> Option<Op> {
    let (source, length) = layout.find(element)?;
    let (wanted, convert, _) = extra_type(element, None);
    let (data_type, ..) = extra_type(element, Some(length));
    // Integers are checked value by value; anything else must have the column's own type.
    let fits = data_type == wanted
        || convert == crate::convert::UNSIGNED && data_type.is_unsigned_integer();
    let convert = match convert {
        Convert::Text { .. } => Convert::Text {
            trim: length != crate::template::VARIABLE,
        },
        other => other,
    };
    fits.then_some(Op::Field {
        column,
        source,
        convert,
    })
}

/// Counts fields that are kept as octets because nothing better is known (FF-IX-17, FF-DT-02).
fn warn_about_octets(layout: &Layout<'_>, stats: &mut Stats) {
    for (_, element, length, _) in layout.values() {
        match layout.definition.describe(element) {
            None => stats.warn(Warning::UnknownElement),
            Some(known) if natural(known.data_type, length).is_none() => {
                stats.warn(Warning::IllegalFieldLength)
            }
            Some(_) => {}
        }
    }
}
