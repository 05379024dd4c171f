//! IPFIX (RFC 7011 section 3): message header, template and options template sets.

use super::set::Sets;
use super::template::{Form, TemplateRecord};
use crate::bytes::{be16, be32};
use crate::element::ElementId;
use crate::error::DecodeError;
use crate::template::{FieldSpecifier, RecordKind};

/// Set ids (RFC 7011 section 3.3.2).
pub(crate) mod set_id {
    pub(crate) const TEMPLATE: u16 = 2;
    pub(crate) const OPTIONS_TEMPLATE: u16 = 3;
    pub(crate) const MIN_DATA: u16 = 256;
}

/// The bit of an element id that announces an enterprise number (RFC 7011 section 3.2).
const ENTERPRISE_BIT: u16 = 0x8000;

mod offset {
    pub(super) const LENGTH: usize = 2;
    pub(super) const EXPORT_TIME: usize = 4;
    pub(super) const SEQUENCE: usize = 8;
    pub(super) const OBSERVATION_DOMAIN_ID: usize = 12;
    pub(super) const END: usize = 16;
}

/// An IPFIX message as long as its header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpfixMessage<'a> {
    bytes: &'a [u8],
    trailing_octets: usize,
}

impl<'a> IpfixMessage<'a> {
    /// Ensures that no getter will panic (FF-IX-03, FF-IX-04).
    pub(crate) fn new_checked(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        if datagram.len() < offset::END {
            return Err(DecodeError::HeaderTruncated);
        }
        let length = usize::from(be16(datagram, offset::LENGTH));
        if !(offset::END..=datagram.len()).contains(&length) {
            return Err(DecodeError::MessageLength);
        }
        Ok(Self {
            bytes: &datagram[..length],
            trailing_octets: datagram.len() - length,
        })
    }

    /// When the message was sent, seconds since the UNIX epoch.
    pub(crate) fn export_time(&self) -> u32 {
        be32(self.bytes, offset::EXPORT_TIME)
    }

    /// Data records sent before this message (FF-SQ-01).
    pub(crate) fn sequence(&self) -> u32 {
        be32(self.bytes, offset::SEQUENCE)
    }

    /// The Observation Domain.
    pub(crate) fn observation_domain_id(&self) -> u32 {
        be32(self.bytes, offset::OBSERVATION_DOMAIN_ID)
    }

    /// Octets of the datagram after the message (FF-IX-04).
    pub(crate) fn trailing_octets(&self) -> usize {
        self.trailing_octets
    }

    /// The sets.
    pub(crate) fn sets(&self) -> Sets<'a> {
        Sets::new(self.bytes, offset::END)
    }
}

/// A field specifier (section 3.2), and what follows it; `None` if it is not whole.
#[inline]
pub(super) fn split_specifier(octets: &[u8]) -> Option<(FieldSpecifier, &[u8])> {
    let (specifier, mut rest) = octets.split_at_checked(4)?;
    let (id, length) = (be16(specifier, 0), be16(specifier, 2));
    let mut pen = 0;
    if id & ENTERPRISE_BIT != 0 {
        let (number, behind) = rest.split_at_checked(4)?;
        (pen, rest) = (be32(number, 0), behind);
    }
    let element = ElementId {
        pen,
        id: u32::from(id & !ENTERPRISE_BIT),
    };
    Some((FieldSpecifier { element, length }, rest))
}

/// What a template record says.
#[derive(Debug)]
pub(crate) enum Statement<'a> {
    /// Records with this id look so.
    Template(TemplateRecord<'a>),
    /// The id (2 and 3: every id) is used no more (RFC 7011 section 8.1).
    Withdrawal,
}

/// Template records of a template set or options template set (RFC 7011 section 3.4).
#[derive(Debug)]
pub(crate) struct TemplateRecords<'a> {
    rest: &'a [u8],
    is_options: bool,
}

impl<'a> TemplateRecords<'a> {
    /// `body`: the set without its header.
    pub(crate) fn new(body: &'a [u8], is_options: bool) -> Self {
        Self {
            rest: body,
            is_options,
        }
    }

    fn parse(&mut self, bytes: &'a [u8]) -> Result<Statement<'a>, DecodeError> {
        let (template_id, field_count) = (be16(bytes, 0), be16(bytes, 2));
        let withdraw_all = if self.is_options {
            set_id::OPTIONS_TEMPLATE
        } else {
            set_id::TEMPLATE
        };
        if template_id < set_id::MIN_DATA && !(template_id == withdraw_all && field_count == 0) {
            return Err(DecodeError::TemplateId);
        }
        if field_count == 0 {
            self.rest = &bytes[4..];
            return Ok(Statement::Withdrawal);
        }
        let mut specifiers = &bytes[4..];
        let mut scope_count = 0;
        let mut kind = RecordKind::Data;
        if self.is_options {
            let (count, rest) = specifiers
                .split_at_checked(2)
                .ok_or(DecodeError::TemplateOverrun)?;
            (scope_count, specifiers, kind) = (be16(count, 0), rest, RecordKind::Options);
            // FF-IX-13.
            if scope_count == 0 || scope_count > field_count {
                return Err(DecodeError::ScopeCount);
            }
        }
        let mut rest = specifiers;
        for _ in 0..field_count {
            let (_, behind) = split_specifier(rest).ok_or(DecodeError::TemplateOverrun)?;
            rest = behind;
        }
        self.rest = rest;
        Ok(Statement::Template(TemplateRecord {
            template_id,
            kind,
            scope_count,
            form: Form::Ipfix,
            specifiers: &specifiers[..specifiers.len() - rest.len()],
        }))
    }
}

impl<'a> Iterator for TemplateRecords<'a> {
    type Item = Result<Statement<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.rest);
        // Section 3.3.1: padding is shorter than any record. Exporters that pad with more write zeros.
        if bytes.len() < 4 || be32(bytes, 0) == 0 {
            return None;
        }
        Some(self.parse(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_length_is_believed_only_inside_the_datagram() {
        let mut bytes = vec![0; 20];
        bytes[..4].copy_from_slice(&[0, 10, 0, 16]);
        assert_eq!(
            IpfixMessage::new_checked(&bytes).unwrap().trailing_octets(),
            4
        );
        bytes[3] = 21;
        assert_eq!(
            IpfixMessage::new_checked(&bytes).unwrap_err(),
            DecodeError::MessageLength
        );
        bytes[3] = 15;
        assert_eq!(
            IpfixMessage::new_checked(&bytes).unwrap_err(),
            DecodeError::MessageLength
        );
    }

    #[test]
    fn enterprise_numbers_follow_their_specifier() {
        // RFC 7011 section 3.2.
        let body = [1, 0, 0, 2, 0x80, 7, 0, 2, 0, 0, 3, 0xe7, 0, 4, 0, 1];
        let Some(Ok(Statement::Template(record))) = TemplateRecords::new(&body, false).next()
        else {
            panic!()
        };
        let elements: Vec<_> = record.fields().map(|field| field.element).collect();
        let enterprise = ElementId { pen: 999, id: 7 };
        assert_eq!(record.template_id, 256);
        assert_eq!(elements, [enterprise, ElementId::iana(4)]);
    }

    #[test]
    fn scope_counts() {
        // FF-IX-13.
        let template = |fields: u8, scopes: u8| [1, 0, 0, fields, 0, scopes, 0, 4, 0, 1];
        for (fields, scopes, want) in [(1, 0, true), (1, 2, true), (1, 1, false)] {
            let body = template(fields, scopes);
            let first = TemplateRecords::new(&body, true).next().unwrap();
            assert_eq!(
                matches!(first, Err(DecodeError::ScopeCount)),
                want,
                "{fields} {scopes}"
            );
        }
    }

    #[test]
    fn withdrawals_have_no_scope_count() {
        // RFC 7011 section 8.1; FF-IX-14.
        let mut records = TemplateRecords::new(&[1, 0, 0, 0, 0, 3, 0, 0], true);
        assert!(matches!(records.next(), Some(Ok(Statement::Withdrawal))));
        assert!(matches!(records.next(), Some(Ok(Statement::Withdrawal))));
        assert!(records.next().is_none());
        assert!(matches!(
            TemplateRecords::new(&[0, 2, 0, 0], true).next(),
            Some(Err(DecodeError::TemplateId))
        ));
    }
}
