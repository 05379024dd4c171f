//! NetFlow v9 (RFC 3954): packet header, template and options template FlowSets.

use super::set::Sets;
use super::template::{Form, TemplateRecord};
use crate::bytes::{be16, be32};
use crate::element::ElementId;
use crate::error::DecodeError;
use crate::template::{FieldSpecifier, RecordKind, VARIABLE};

/// FlowSet ids (RFC 3954 sections 5.2 and 6.1).
pub(crate) mod set_id {
    pub(crate) const TEMPLATE: u16 = 0;
    pub(crate) const OPTIONS_TEMPLATE: u16 = 1;
    pub(crate) const MIN_DATA: u16 = 256;
}

mod offset {
    pub(super) const COUNT: usize = 2;
    pub(super) const SYS_UPTIME: usize = 4;
    pub(super) const UNIX_SECS: usize = 8;
    pub(super) const SEQUENCE: usize = 12;
    pub(super) const SOURCE_ID: usize = 16;
    pub(super) const END: usize = 20;
}

/// A datagram that holds a whole v9 header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Netflow9Packet<'a> {
    bytes: &'a [u8],
}

impl<'a> Netflow9Packet<'a> {
    /// Ensures that no getter will panic.
    pub(crate) fn new_checked(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len() < offset::END {
            return Err(DecodeError::HeaderTruncated);
        }
        Ok(Self { bytes })
    }

    /// Records in the packet, as its exporter counts them: not to be relied on (FF-V9-03).
    pub(crate) fn count(&self) -> u16 {
        be16(self.bytes, offset::COUNT)
    }

    /// Milliseconds since the exporter started.
    pub(crate) fn sys_uptime_ms(&self) -> u32 {
        be32(self.bytes, offset::SYS_UPTIME)
    }

    /// When the packet was sent, seconds since the UNIX epoch.
    pub(crate) fn unix_secs(&self) -> u32 {
        be32(self.bytes, offset::UNIX_SECS)
    }

    /// Export packets sent before this one (FF-V9-04).
    pub(crate) fn sequence(&self) -> u32 {
        be32(self.bytes, offset::SEQUENCE)
    }

    /// The Observation Domain.
    pub(crate) fn source_id(&self) -> u32 {
        be32(self.bytes, offset::SOURCE_ID)
    }

    /// The FlowSets.
    pub(crate) fn sets(&self) -> Sets<'a> {
        Sets::new(self.bytes, offset::END).until_zeros()
    }
}

/// A field of a template, or of an options template's scope (sections 5.2 and 6.1), and what follows it; `None` if it is not whole.
#[inline]
pub(super) fn split_specifier(octets: &[u8], is_scope: bool) -> Option<(FieldSpecifier, &[u8])> {
    let (specifier, rest) = octets.split_at_checked(4)?;
    let (number, length) = (be16(specifier, 0), be16(specifier, 2));
    let element = match is_scope {
        true => ElementId::netflow9_scope(number),
        false => ElementId::netflow9(number),
    };
    Some((FieldSpecifier { element, length }, rest))
}

/// What a template record says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// It may have no fields: the caller refuses it (FF-V9-13).
    pub(crate) template: TemplateRecord<'a>,
    /// An options template that counts fields, as IPFIX does, where v9 has lengths (FF-Q-04).
    pub(crate) is_ipfix_form: bool,
}

impl Statement<'_> {
    /// Whether the length of a field is IPFIX's for one that varies.
    pub(crate) fn has_variable_length(&self) -> bool {
        let (_, specifiers) = self.template.spelling();
        let mut specifiers = specifiers.chunks_exact(4);
        specifiers.any(|specifier| be16(specifier, 2) == VARIABLE)
    }
}

/// Template records of a template FlowSet (RFC 3954 section 5.2) or options template FlowSet (section 6.1).
#[derive(Debug)]
pub(crate) struct TemplateRecords<'a> {
    rest: &'a [u8],
    is_options: bool,
}

impl<'a> TemplateRecords<'a> {
    /// `body`: the FlowSet without its header.
    pub(crate) fn new(body: &'a [u8], is_options: bool) -> Self {
        Self {
            rest: body,
            is_options,
        }
    }

    fn parse(&mut self, bytes: &'a [u8]) -> Result<Statement<'a>, DecodeError> {
        let template_id = be16(bytes, 0);
        if template_id < set_id::MIN_DATA {
            return Err(DecodeError::TemplateId);
        }
        let head = if self.is_options {
            OptionsHead::read(bytes)?
        } else {
            OptionsHead {
                field_count: usize::from(be16(bytes, 2)),
                ..OptionsHead::default()
            }
        };
        let header_len = if self.is_options { 6 } else { 4 };
        let specifiers = bytes
            .get(header_len..header_len + 4 * head.field_count)
            .ok_or(DecodeError::TemplateOverrun)?;
        self.rest = &bytes[header_len + specifiers.len()..];
        Ok(Statement {
            template: TemplateRecord {
                template_id,
                kind: if self.is_options {
                    RecordKind::Options
                } else {
                    RecordKind::Data
                },
                scope_count: head.scope_count,
                form: Form::Netflow9,
                specifiers,
            },
            is_ipfix_form: head.is_ipfix_form,
        })
    }
}

/// How many fields an options template has.
#[derive(Clone, Copy, Debug, Default)]
struct OptionsHead {
    scope_count: u16,
    /// Scopes included.
    field_count: usize,
    is_ipfix_form: bool,
}

impl OptionsHead {
    /// Section 6.1 has lengths in octets, four a specifier, of the scopes and of the other fields. Where those cannot be meant, some
    /// exporters count fields, as IPFIX does: all of them, and how many of them are scopes (FF-Q-04).
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() < 6 {
            return Err(DecodeError::TemplateOverrun);
        }
        let (first, second) = (be16(bytes, 2), be16(bytes, 4));
        let lengths = Self {
            scope_count: first / 4,
            field_count: usize::from(first / 4) + usize::from(second / 4),
            is_ipfix_form: false,
        };
        let counts = Self {
            scope_count: second,
            field_count: usize::from(first),
            is_ipfix_form: true,
        };
        let lengths_fit = first % 4 == 0 && second % 4 == 0 && lengths.fits(bytes);
        let counts_fit = (1..=first).contains(&second) && counts.fits(bytes);
        Ok(if counts_fit && !lengths_fit {
            counts
        } else {
            lengths
        })
    }

    /// The specifiers are there, and behind them is padding or the next template.
    fn fits(&self, bytes: &[u8]) -> bool {
        let rest = bytes.get(6 + 4 * self.field_count..);
        rest.is_some_and(|rest| {
            rest.len() < 4 || be16(rest, 0) == 0 || be16(rest, 0) >= set_id::MIN_DATA
        })
    }
}

impl<'a> Iterator for TemplateRecords<'a> {
    type Item = Result<Statement<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.rest);
        // FF-V9-09: fewer than four octets, or a zero template id, are padding.
        if bytes.len() < 4 || be16(bytes, 0) == 0 {
            return None;
        }
        Some(self.parse(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_records_until_padding() {
        let body = [1, 0, 0, 1, 0, 8, 0, 4, 1, 1, 0, 1, 0, 4, 0, 1, 0, 0, 0, 0];
        let ids: Vec<_> = TemplateRecords::new(&body, false)
            .map(|said| {
                said.map(|said| (said.template.template_id, said.template.fields().count()))
            })
            .collect();
        assert_eq!(ids, [Ok((256, 1)), Ok((257, 1))]);
    }

    #[test]
    fn options_template_scopes_come_first() {
        // RFC 3954 section 6.1: option_scope_length and option_length are octets. FF-V9-11.
        let body = [1, 0, 0, 4, 0, 8, 0, 1, 0, 4, 0, 48, 0, 1, 0, 50, 0, 4, 0, 0];
        let said = TemplateRecords::new(&body, true).next().unwrap().unwrap();
        let definition = said.template.definition();
        assert_eq!(
            (
                said.template.template_id,
                definition.scope_count,
                definition.min_record_len()
            ),
            (256, 1, 9)
        );
        assert!(!said.is_ipfix_form);
        assert_eq!(definition.fields[0].element, ElementId::netflow9_scope(1));
    }

    #[test]
    fn options_templates_in_the_form_of_ipfix() {
        // FF-Q-04: three fields, one of them scope; as lengths they are no multiples of four.
        let body = [1, 0, 0, 3, 0, 1, 0, 1, 0, 4, 0, 48, 0, 1, 0, 50, 0, 4, 0, 0];
        let mut records = TemplateRecords::new(&body, true);
        let said = records.next().unwrap().unwrap();
        let definition = said.template.definition();
        assert_eq!(
            (definition.scope_count, definition.min_record_len()),
            (1, 9)
        );
        assert!(said.is_ipfix_form && records.next().is_none());
        // Lengths that could be counts are lengths.
        let body = [1, 0, 0, 4, 0, 4, 0, 1, 0, 4, 0, 48, 0, 1];
        let mut records = TemplateRecords::new(&body, true);
        let said = records.next().unwrap().unwrap();
        assert_eq!(said.template.fields().count(), 2);
        assert!(!said.is_ipfix_form);
    }

    #[test]
    fn template_longer_than_its_set() {
        let mut records = TemplateRecords::new(&[1, 0, 0, 2, 0, 8, 0, 4], false);
        assert_eq!(
            records.next().unwrap().unwrap_err(),
            DecodeError::TemplateOverrun
        );
        assert!(records.next().is_none());
    }
}
