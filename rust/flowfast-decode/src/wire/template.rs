//! Template records of v9 and IPFIX, whose fields are read only when they are needed: exporters send their templates again and again, and
//! one that is known by its spelling need not be taken apart.

use super::{ipfix, netflow9};
use crate::template::{Definition, FieldSpecifier, RecordKind};

/// How field specifiers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Netflow9,
    Ipfix,
}

/// A record of a template set or options template set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TemplateRecord<'a> {
    pub(crate) template_id: u16,
    pub(crate) kind: RecordKind,
    /// The first so many fields are scope.
    pub(crate) scope_count: u16,
    pub(super) form: Form,
    /// All of the field specifiers, and nothing else.
    pub(super) specifiers: &'a [u8],
}

impl<'a> TemplateRecord<'a> {
    /// Its fields, in order.
    pub(crate) fn fields(&self) -> Fields<'a> {
        Fields {
            scopes: usize::from(self.scope_count),
            form: self.form,
            specifiers: self.specifiers,
        }
    }

    /// How its fields are written: those of equal spelling are equal.
    pub(crate) fn spelling(&self) -> (Form, &'a [u8]) {
        (self.form, self.specifiers)
    }

    /// What it says.
    pub(crate) fn definition(&self) -> Definition {
        // No more fields than there are octets: nothing is allocated on the word of the wire.
        let mut fields = Vec::with_capacity(self.specifiers.len() / 4);
        fields.extend(self.fields());
        Definition {
            fields: fields.into(),
            scope_count: self.scope_count,
            kind: self.kind,
            icmp_in_port: false,
            learned: Box::default(),
            objects: Box::default(),
        }
    }
}

/// The fields of a template record.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    /// Scopes before the first of another kind.
    scopes: usize,
    form: Form,
    specifiers: &'a [u8],
}

impl Iterator for Fields<'_> {
    type Item = FieldSpecifier;

    #[inline]
    fn next(&mut self) -> Option<FieldSpecifier> {
        let (field, rest) = match self.form {
            Form::Netflow9 => netflow9::split_specifier(self.specifiers, self.scopes > 0)?,
            Form::Ipfix => ipfix::split_specifier(self.specifiers)?,
        };
        self.specifiers = rest;
        self.scopes = self.scopes.saturating_sub(1);
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ElementId;

    /// An options template of one scope and three fields, one of them with an enterprise number.
    const SPECIFIERS: [u8; 20] = [
        0, 10, 0, 4, 0, 1, 0, 8, 0x80, 2, 0, 4, 0, 0, 0, 9, 0, 3, 0xff, 0xff,
    ];

    fn record(form: Form, specifiers: &[u8]) -> TemplateRecord<'_> {
        TemplateRecord {
            template_id: 256,
            kind: RecordKind::Options,
            scope_count: 1,
            form,
            specifiers,
        }
    }

    fn fields(form: Form) -> Vec<(ElementId, u16)> {
        let fields = record(form, &SPECIFIERS).fields();
        fields.map(|each| (each.element, each.length)).collect()
    }

    #[test]
    fn specifiers_are_read_in_the_form_of_their_format() {
        // RFC 7011 section 3.2; RFC 3954 section 6.1.
        let iana = ElementId::iana;
        let enterprise = ElementId { pen: 9, id: 2 };
        let ipfix = [
            (iana(10), 4),
            (iana(1), 8),
            (enterprise, 4),
            (iana(3), 0xffff),
        ];
        assert_eq!(fields(Form::Ipfix), ipfix);
        let netflow9 = [
            (ElementId::netflow9_scope(10), 4),
            (iana(1), 8),
            (iana(0x8002), 4),
            (iana(0), 9),
            (iana(3), 0xffff),
        ];
        assert_eq!(fields(Form::Netflow9), netflow9);
    }
}
