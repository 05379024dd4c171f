//! Structured data (RFC 6313): lists of values and of records, whose columns come as the data needs them.
//!
//! Which values a list holds is not in the template but in the list. So its Arrow type is the union of all that it has held:
//!
//! - basicList: `struct<semantic, <element>: list<value>, ...>`, one child for each element seen;
//! - subTemplateList: `struct<semantic, template_id, records: list<struct<...>>>`;
//! - subTemplateMultiList: `struct<semantic, blocks: list<struct<template_id, records: list<struct<...>>>>>`.
//!
//! What can not be read is kept in the child `octets`. Children that no list has needed are not there.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use arrow_array::types::{UInt8Type, UInt16Type};
use arrow_array::{ArrayRef, ListArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};

use super::{Absent, Column, Primitive, VariableOctets};
use crate::convert::Convert;
use crate::plan::ValueColumn;
use crate::wire::list::ListKind;

/// Lists of one field.
#[derive(Debug)]
pub(crate) struct Lists {
    kind: ListKind,
    semantics: Primitive<u8>,
    /// Of each list; of a subTemplateMultiList, of each block.
    template_ids: Primitive<u16>,
    /// Where the blocks of each subTemplateMultiList end.
    blocks: Ends,
    /// Values of basicLists, one list each of an element; or the records of all lists or blocks.
    children: Children,
    /// Where the records of each list or block end.
    records: Ends,
    octets: VariableOctets,
    has_octets: bool,
    nulls: NullBufferBuilder,
}

/// Children in order of appearance. Those that a record or a list has nothing for are padded when next written.
#[derive(Debug, Default)]
struct Children(Vec<Child>);

#[derive(Debug)]
struct Child {
    column: ValueColumn,
    semantic: Option<&'static str>,
    values: Column,
    /// Of values of a basicList.
    ends: Ends,
}

/// The ends of lists.
#[derive(Debug)]
struct Ends {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl Ends {
    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Ends the next list where `items` end.
    fn push(&mut self, items: usize) {
        self.offsets.push(items as i32);
        self.nulls.append_non_null();
    }

    fn append_nulls(&mut self, count: usize) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.resize(self.offsets.len() + count, end);
        self.nulls.append_n_nulls(count);
    }

    fn finish(&mut self, item: Field, items: ArrayRef) -> ArrayRef {
        let Self { offsets, mut nulls } = std::mem::take(self);
        Arc::new(ListArray::new(
            Arc::new(item),
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            items,
            nulls.finish(),
        ))
    }
}

impl Child {
    fn new(column: &ValueColumn, convert: Convert, semantic: Option<&'static str>) -> Self {
        Self {
            column: column.clone(),
            semantic,
            values: Column::of(convert, &column.data_type),
            ends: Ends::default(),
        }
    }
}

impl Children {
    /// Where the child of a column is; `hint`: where it was last time.
    fn position(&self, column: &ValueColumn, hint: usize) -> Option<usize> {
        let is_it = |child: &Child| child.column == *column;
        match self.0.get(hint) {
            Some(child) if is_it(child) => Some(hint),
            _ => self.0.iter().position(is_it),
        }
    }

    /// In the order of their elements, which does not depend on that of their appearance.
    fn sorted(&mut self) -> Vec<&mut Child> {
        let mut sorted: Vec<_> = self.0.iter_mut().collect();
        sorted.sort_by(|a, b| a.column.cmp(&b.column));
        sorted
    }
}

impl Lists {
    pub(crate) fn new(kind: ListKind) -> Self {
        Self {
            kind,
            semantics: Primitive::default(),
            template_ids: Primitive::default(),
            blocks: Ends::default(),
            children: Children::default(),
            records: Ends::default(),
            octets: VariableOctets::default(),
            has_octets: false,
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(crate) fn kind(&self) -> ListKind {
        self.kind
    }

    pub(crate) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Octets when all children are padded, about.
    pub(crate) fn size(&self) -> usize {
        let children = self.children.0.iter();
        let values = children.map(|child| child.values.octets().max(self.inner_len() * 8));
        values.sum::<usize>() + self.octets.octets() + self.len() * 16
    }

    fn inner_len(&self) -> usize {
        match self.kind {
            ListKind::Basic => self.len(),
            _ => self.records.offsets.last().copied().unwrap_or_default() as usize,
        }
    }

    /// Children of this and of the lists in it.
    pub(crate) fn width(&self) -> usize {
        let children = self.children.0.iter();
        children
            .map(|child| match &child.values {
                Column::Lists(lists) => 1 + lists.width(),
                _ => 1,
            })
            .sum()
    }

    /// How many of these columns it has no child for.
    pub(crate) fn missing<'a>(&self, columns: impl Iterator<Item = &'a ValueColumn>) -> usize {
        columns
            .enumerate()
            .filter(|(index, column)| self.children.position(column, *index).is_none())
            .count()
    }

    /// Appends lists that are not there.
    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.append_nothing(count);
        self.nulls.append_n_nulls(count);
    }

    fn append_nothing(&mut self, count: usize) {
        self.semantics.append_nulls(count);
        match self.kind {
            ListKind::Basic => {}
            ListKind::SubTemplate => {
                self.template_ids.append_nulls(count);
                self.records.append_nulls(count);
            }
            ListKind::SubTemplateMulti => self.blocks.append_nulls(count),
        }
    }

    /// Appends a list as it was sent, because it can not be read. Returns how many did not fit.
    pub(crate) fn append_octets(&mut self, octets: &[u8]) -> u64 {
        let rows = self.len();
        self.append_nothing(1);
        self.nulls.append_non_null();
        self.has_octets = true;
        self.octets.append_nulls(rows - self.octets.len());
        self.octets.extend_optional(std::iter::once(Some(octets)))
    }

    /// Appends a basicList of so many values of a column, which `append` writes.
    pub(crate) fn append_basic(
        &mut self,
        semantic: u8,
        (column, convert, shown): (&ValueColumn, Convert, Option<&'static str>),
        append: impl FnOnce(&mut Column),
    ) {
        let rows = self.len();
        let index = self.child(column, convert, shown, 0);
        let child = &mut self.children.0[index];
        child.ends.append_nulls(rows - child.ends.len());
        append(&mut child.values);
        let items = child.values.len();
        child.ends.push(items);
        self.semantics.extend_constant(semantic, 1);
        self.nulls.append_non_null();
    }

    /// Appends a subTemplateList or a subTemplateMultiList; its records have been appended by `child_of_records` and `end_block`.
    pub(crate) fn end_list(&mut self, semantic: u8) {
        if self.kind == ListKind::SubTemplateMulti {
            self.blocks.push(self.records.len());
        }
        self.semantics.extend_constant(semantic, 1);
        self.nulls.append_non_null();
    }

    /// The child that a field of the next records goes to, filled up to them.
    pub(crate) fn child_of_records(
        &mut self,
        column: &ValueColumn,
        convert: Convert,
        semantic: Option<&'static str>,
        hint: usize,
    ) -> &mut Column {
        let records = self.inner_len();
        let index = self.child(column, convert, semantic, hint);
        let values = &mut self.children.0[index].values;
        values.pad_to(records);
        values
    }

    /// Ends the records of a list, or of a block of one.
    pub(crate) fn end_block(&mut self, template_id: u16, records: usize) {
        let end = self.inner_len() + records;
        self.template_ids.extend_constant(template_id, 1);
        self.records.push(end);
    }

    fn child(
        &mut self,
        column: &ValueColumn,
        convert: Convert,
        semantic: Option<&'static str>,
        hint: usize,
    ) -> usize {
        self.children.position(column, hint).unwrap_or_else(|| {
            self.children.0.push(Child::new(column, convert, semantic));
            self.children.0.len() - 1
        })
    }

    /// Forgets how large it was, but not its children: they belong to its type.
    pub(crate) fn give_memory_back(&mut self) {
        let mut empty = Self::new(self.kind);
        empty.has_octets = self.has_octets;
        empty.children = std::mem::take(&mut self.children);
        for child in &mut empty.children.0 {
            child.values.give_memory_back();
            child.ends = Ends::default();
        }
        *self = empty;
    }

    /// Tells types apart: equal texts, equal `data_type`s.
    pub(crate) fn describe(&mut self, text: &mut String) {
        // Writing to a string does not fail.
        let _ = write!(text, "{:?}{}(", self.kind, self.has_octets);
        for child in self.children.sorted() {
            let _ = write!(text, "{:?}", child.column);
            if let Column::Lists(lists) = &mut child.values {
                lists.describe(text);
            }
            text.push(';');
        }
        text.push(')');
    }

    /// The lists as a struct array, and its type; nothing is left but the children.
    pub(super) fn finish(&mut self, absent: &mut Absent) -> ArrayRef {
        let rows = self.len();
        let semantics = self.semantics.finish::<UInt8Type>(&DataType::UInt8);
        let mut fields = vec![(Field::new("semantic", DataType::UInt8, true), semantics)];
        if self.kind == ListKind::Basic {
            self.finish_values(rows, absent, &mut fields);
        } else {
            self.finish_records(absent, &mut fields);
        }
        if self.has_octets {
            let missing = rows - self.octets.len();
            self.octets.append_nulls(missing);
            let octets = self.octets.finish(&DataType::Binary);
            fields.push((Field::new("octets", DataType::Binary, true), octets));
        }
        structure(fields, self.nulls.finish())
    }

    fn finish_values(&mut self, rows: usize, absent: &mut Absent, fields: &mut Fields) {
        let mut names = taken_names();
        for child in self.children.sorted() {
            let items = child.values.len();
            let values = child.values.finish(&child.column.data_type, items, absent);
            let item = child.column.arrow_field(
                &mut HashSet::new(),
                values.data_type().clone(),
                child.semantic,
            );
            child.ends.append_nulls(rows - child.ends.len());
            let lists = child.ends.finish(item.with_name("item"), values);
            let field = child
                .column
                .arrow_field(&mut names, lists.data_type().clone(), None);
            fields.push((field, lists));
        }
    }

    fn finish_records(&mut self, absent: &mut Absent, fields: &mut Fields) {
        let records = self.inner_len();
        let mut names = HashSet::new();
        let mut columns = Vec::new();
        for child in self.children.sorted() {
            let values = child
                .values
                .finish(&child.column.data_type, records, absent);
            let data_type = values.data_type().clone();
            let field = child
                .column
                .arrow_field(&mut names, data_type, child.semantic);
            columns.push((field, values));
        }
        let template_ids = self.template_ids.finish::<UInt16Type>(&DataType::UInt16);
        let mut inner = vec![(
            Field::new("template_id", DataType::UInt16, true),
            template_ids,
        )];
        let ends = &mut self.records;
        // A struct without fields is none that files could hold.
        if columns.is_empty() {
            *ends = Ends::default();
        } else {
            inner.push(list_of("records", ends, structure(columns, None)));
        }
        if self.kind == ListKind::SubTemplateMulti {
            let blocks = structure(inner, None);
            fields.push(list_of("blocks", &mut self.blocks, blocks));
        } else {
            fields.extend(inner);
        }
    }
}

type Fields = Vec<(Field, ArrayRef)>;

/// What a basicList's struct has beside its values.
fn taken_names() -> HashSet<String> {
    HashSet::from(["semantic".to_owned(), "octets".to_owned()])
}

fn list_of(name: &str, ends: &mut Ends, items: ArrayRef) -> (Field, ArrayRef) {
    let item = Field::new("item", items.data_type().clone(), true);
    let lists = ends.finish(item, items);
    (Field::new(name, lists.data_type().clone(), true), lists)
}

fn structure(fields: Fields, nulls: Option<arrow_buffer::NullBuffer>) -> ArrayRef {
    let (fields, arrays): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    Arc::new(StructArray::new(fields.into(), arrays, nulls))
}
