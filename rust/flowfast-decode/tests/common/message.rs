//! NetFlow and IPFIX messages, written octet by octet and by nothing of the crate.

/// A field specifier: element id, enterprise number (0: none), length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) id: u16,
    pub(crate) pen: u32,
    pub(crate) length: u16,
}

pub(crate) const VARIABLE: u16 = 65535;

/// An IANA element.
pub(crate) const fn iana(id: u16, length: u16) -> Field {
    Field { id, pen: 0, length }
}

fn be16(out: &mut Vec<u8>, value: usize) {
    out.extend((value as u16).to_be_bytes());
}

fn specifiers(out: &mut Vec<u8>, fields: &[Field]) {
    for field in fields {
        let enterprise = if field.pen == 0 { 0 } else { 0x8000 };
        be16(out, usize::from(field.id | enterprise));
        be16(out, usize::from(field.length));
        if field.pen != 0 {
            out.extend(field.pen.to_be_bytes());
        }
    }
}

/// RFC 7011 section 3.1; its length is that of the sets.
pub(crate) fn ipfix(sequence: u32, domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let mut out = vec![0, 10];
    be16(&mut out, 16 + body.len());
    out.extend(1_700_000_000u32.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(domain.to_be_bytes());
    out.extend(body);
    out
}

/// RFC 3954 section 5.1; `count` is what honest exporters would not say, and does not matter (FF-V9-03).
pub(crate) fn netflow9(sequence: u32, uptime_ms: u32, source: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0, 9, 0, 1];
    out.extend(uptime_ms.to_be_bytes());
    out.extend(1_700_000_000u32.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(source.to_be_bytes());
    out.extend(sets.concat());
    out
}

/// NetFlow v5 with `count` records whose octets are `fill`.
pub(crate) fn netflow5(sequence: u32, engine: u16, interval: u16, count: u16, fill: u8) -> Vec<u8> {
    let mut out = vec![0, 5];
    be16(&mut out, usize::from(count));
    out.extend(60_000u32.to_be_bytes());
    out.extend(1_700_000_000u32.to_be_bytes());
    out.extend([0; 4]);
    out.extend(sequence.to_be_bytes());
    be16(&mut out, usize::from(engine));
    be16(&mut out, usize::from(interval));
    out.resize(24 + 48 * usize::from(count), fill);
    out
}

/// A set of either format.
pub(crate) fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + body.len());
    be16(&mut out, usize::from(id));
    be16(&mut out, 4 + body.len());
    out.extend(body);
    out
}

/// A template record (both formats, as long as no element is an enterprise's).
pub(crate) fn template(id: u16, fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    be16(&mut out, usize::from(id));
    be16(&mut out, fields.len());
    specifiers(&mut out, fields);
    out
}

/// An options template record of IPFIX (RFC 7011 section 3.4.2.2).
pub(crate) fn options_template(id: u16, scopes: usize, fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    be16(&mut out, usize::from(id));
    be16(&mut out, fields.len());
    be16(&mut out, scopes);
    specifiers(&mut out, fields);
    out
}

/// An options template record of NetFlow v9 (RFC 3954 section 6.1).
pub(crate) fn options_template9(id: u16, scopes: usize, fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    be16(&mut out, usize::from(id));
    be16(&mut out, 4 * scopes);
    be16(&mut out, 4 * (fields.len() - scopes));
    specifiers(&mut out, fields);
    out
}

/// IPFIX template set, options template set.
pub(crate) fn templates(records: &[Vec<u8>]) -> Vec<u8> {
    set(2, &records.concat())
}

pub(crate) fn options_templates(records: &[Vec<u8>]) -> Vec<u8> {
    set(3, &records.concat())
}

/// NetFlow v9 template FlowSet, options template FlowSet.
pub(crate) fn templates9(records: &[Vec<u8>]) -> Vec<u8> {
    set(0, &records.concat())
}

pub(crate) fn options_templates9(records: &[Vec<u8>]) -> Vec<u8> {
    set(1, &records.concat())
}
