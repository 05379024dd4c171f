//! A record in the making: what samples and the packets in them are read into.

#[cfg(test)]
use super::cursor::Cursor;
use crate::element::{ElementId, INNER_FIELD_BASE};
use crate::template::FieldSpecifier;

/// A field of a record: element of the IANA or local registry, and octets or `VARIABLE`. An integer, for slices of integers are hashed
/// and compared as octets, and every record is looked up by its fields.
pub(crate) type Field = u64;

/// Names a field.
pub(crate) const fn field(element: u32, octets: u16) -> Field {
    (element as u64) << 16 | octets as u64
}

/// A field as templates have it.
pub(crate) fn specifier(field: Field) -> FieldSpecifier {
    FieldSpecifier {
        element: ElementId::iana((field >> 16) as u32),
        length: field as u16,
    }
}

/// First and last AS of a path: the next one, and the destination's.
const PATH_ENDS: [Field; 2] = [field(128, 4), field(17, 4)];

/// First and last AS, as octets.
pub(super) type PathEnds = ([u8; 4], [u8; 4]);

/// A record in the making: fields and their octets, those of variable length last, for fixed offsets are read faster.
#[derive(Debug, Default)]
pub(crate) struct RecordBuilder {
    fields: Vec<Field>,
    octets: Vec<u8>,
    variable_fields: Vec<Field>,
    variable_octets: Vec<u8>,
    /// What is put is of the packet inside a tunnel.
    is_inner: bool,
    /// Fields of variable length that are left out, sorted.
    unread: Box<[Field]>,
}

/// How far a record had grown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint([usize; 4]);

impl RecordBuilder {
    /// Leaves these fields of variable length out of all records.
    pub(crate) fn without(unread: impl Iterator<Item = Field>) -> Self {
        let mut unread: Vec<_> = unread.collect();
        unread.sort_unstable();
        Self {
            unread: unread.into(),
            ..Self::default()
        }
    }

    /// Forgets the record before.
    pub(crate) fn clear(&mut self) {
        self.rollback(Checkpoint([0; 4]));
    }

    /// Adds fields of fixed length and the octets of all of them.
    #[inline(always)] // how many there are is known nearly everywhere: no call to copy a few octets
    pub(crate) fn put(&mut self, fields: &[Field], octets: &[u8]) {
        if self.is_inner {
            self.put_twins(fields);
        } else {
            self.fields.extend_from_slice(fields);
        }
        self.octets.extend_from_slice(octets);
    }

    /// The same fields of the packet inside a tunnel.
    fn put_twins(&mut self, fields: &[Field]) {
        const TO_INNER: Field = field(INNER_FIELD_BASE, 0);
        let twins = fields.iter().map(|field| field + TO_INNER);
        self.fields.extend(twins);
    }

    /// Adds a field of variable length. `None` if it is longer than such a field can be.
    pub(crate) fn put_variable(&mut self, field: Field, octets: &[u8]) -> Option<()> {
        let len = u16::try_from(octets.len()).ok()?;
        if self.unread.binary_search(&field).is_ok() {
            return Some(());
        }
        self.variable_fields.push(field);
        // RFC 7011 section 7.
        match u8::try_from(len) {
            Ok(short) if short < 255 => self.variable_octets.push(short),
            _ => {
                self.variable_octets.push(255);
                self.variable_octets.extend(len.to_be_bytes());
            }
        }
        self.variable_octets.extend_from_slice(octets);
        Some(())
    }

    /// Reads the packet inside a tunnel: fields that `read` puts are those of that packet. Tunnels in tunnels stay what they are.
    pub(crate) fn put_inner(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        if std::mem::replace(&mut self.is_inner, true) {
            return None;
        }
        let outcome = read(self);
        self.is_inner = false;
        outcome
    }

    /// Whether the packet inside a tunnel is being read.
    pub(crate) fn is_inner(&self) -> bool {
        self.is_inner
    }

    pub(super) fn put_ends(&mut self, ends: Option<PathEnds>) {
        if let Some((first, last)) = ends {
            self.put(&PATH_ENDS, &[first, last].concat());
        }
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint([
            self.fields.len(),
            self.octets.len(),
            self.variable_fields.len(),
            self.variable_octets.len(),
        ])
    }

    /// Takes back what was added since.
    pub(crate) fn rollback(&mut self, checkpoint: Checkpoint) {
        let [fields, octets, variable_fields, variable_octets] = checkpoint.0;
        self.fields.truncate(fields);
        self.octets.truncate(octets);
        self.variable_fields.truncate(variable_fields);
        self.variable_octets.truncate(variable_octets);
    }

    /// Ends the record: appends its octets to `arena`, and tells its fields.
    pub(crate) fn finish(&mut self, arena: &mut Vec<u8>) -> &[Field] {
        self.fields.append(&mut self.variable_fields);
        arena.extend_from_slice(&self.octets);
        arena.extend_from_slice(&self.variable_octets);
        &self.fields
    }
}

#[cfg(test)]
impl RecordBuilder {
    /// Element and octets of each field, for tests; of those of variable length without their prefix.
    pub(crate) fn values(&mut self) -> Vec<(u32, Vec<u8>)> {
        let mut octets = Vec::new();
        let specifiers = self
            .finish(&mut octets)
            .iter()
            .map(|&field| specifier(field));
        let mut cursor = Cursor::new(&octets);
        let mut take = |len: usize| cursor.take(len).unwrap().to_vec();
        let mut values = Vec::new();
        for FieldSpecifier { element, length } in specifiers {
            let len = match length {
                crate::template::VARIABLE => match usize::from(take(1)[0]) {
                    255 => usize::from(crate::bytes::be16(&take(2), 0)),
                    short => short,
                },
                length => usize::from(length),
            };
            values.push((element.id, take(len)));
        }
        assert!(cursor.rest().is_empty(), "fields cover the octets");
        values
    }
}
