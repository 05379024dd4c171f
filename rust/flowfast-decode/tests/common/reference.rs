//! A decoder that is slow and obvious: one field after the other, one octet after the other, by spec 2.3.5. It shares no code and no
//! table with the crate.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::message::{Field, VARIABLE};

/// Abstract data types (RFC 7011 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Octets,
    Unsigned(u16),
    Signed(u16),
    Unsigned256,
    Float32,
    Float64,
    Boolean,
    Mac,
    Text,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    Ipv4,
    Ipv6,
    Padding,
}

/// An element that the tests use: id, enterprise, type, name of its column.
pub(crate) type Element = (u16, u32, Type, &'static str);

/// Elements of every type, of three enterprises, reverse, and in no registry.
pub(crate) const ELEMENTS: &[Element] = &[
    (95, 0, Type::Octets, "applicationId"),
    (4, 0, Type::Unsigned(1), "protocolIdentifier"),
    (5, 0, Type::Unsigned(1), "ipClassOfService"),
    (7, 0, Type::Unsigned(2), "sourceTransportPort"),
    (11, 0, Type::Unsigned(2), "destinationTransportPort"),
    (10, 0, Type::Unsigned(4), "ingressInterface"),
    (14, 0, Type::Unsigned(4), "egressInterface"),
    (16, 0, Type::Unsigned(4), "bgpSourceAsNumber"),
    (1, 0, Type::Unsigned(8), "octetDeltaCount"),
    (2, 0, Type::Unsigned(8), "packetDeltaCount"),
    (1, 29305, Type::Unsigned(8), "reverseOctetDeltaCount"),
    (806, 8057, Type::Signed(1), "statsTLSDirection"),
    (1013, 8057, Type::Signed(2), "packetLength"),
    (434, 0, Type::Signed(4), "mibObjectValueInteger"),
    (352, 39499, Type::Signed(8), "tlsValidityNotBefore"),
    (520, 0, Type::Unsigned256, "tcpOptionsFull"),
    (126, 3054, Type::Float32, "ixiaSrcLatitude"),
    (320, 0, Type::Float64, "absoluteError"),
    (276, 0, Type::Boolean, "dataRecordsReliability"),
    (56, 0, Type::Mac, "sourceMacAddress"),
    (80, 0, Type::Mac, "destinationMacAddress"),
    (82, 0, Type::Text, "interfaceName"),
    (150, 0, Type::Seconds, "flowStartSeconds"),
    (153, 0, Type::Milliseconds, "flowEndMilliseconds"),
    (154, 0, Type::Microseconds, "flowStartMicroseconds"),
    (157, 0, Type::Nanoseconds, "flowEndNanoseconds"),
    (8, 0, Type::Ipv4, "sourceIPv4Address"),
    (12, 0, Type::Ipv4, "destinationIPv4Address"),
    (27, 0, Type::Ipv6, "sourceIPv6Address"),
    (28, 0, Type::Ipv6, "destinationIPv6Address"),
    (9, 0, Type::Unsigned(1), "sourceIPv4PrefixLength"),
    (29, 0, Type::Unsigned(1), "sourceIPv6PrefixLength"),
    (210, 0, Type::Padding, ""),
    (31000, 0, Type::Octets, "e0_i31000"),
    (77, 64999, Type::Octets, "e64999_i77"),
];

impl Type {
    /// Lengths that a template may give for it.
    pub(crate) fn lengths(self) -> Vec<u16> {
        match self {
            Self::Octets => vec![1, 2, 7, 16, VARIABLE],
            Self::Padding => vec![0, 1, 3, 12, VARIABLE],
            Self::Text => vec![1, 5, 20, VARIABLE],
            Self::Unsigned(width) | Self::Signed(width) => {
                (1..=width).chain([width, VARIABLE]).collect()
            }
            Self::Unsigned256 => vec![1, 3, 31, 32, VARIABLE],
            Self::Float64 => vec![4, 8, VARIABLE],
            Self::Boolean => vec![1, VARIABLE],
            Self::Mac => vec![6, VARIABLE],
            Self::Float32 | Self::Seconds | Self::Ipv4 => vec![4, VARIABLE],
            Self::Milliseconds | Self::Microseconds | Self::Nanoseconds => vec![8, VARIABLE],
            Self::Ipv6 => vec![16, VARIABLE],
        }
    }

    /// A length that a variable-length field of it carries, mostly.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Octets | Self::Text | Self::Padding => 9,
            Self::Unsigned(width) | Self::Signed(width) => usize::from(width),
            Self::Unsigned256 => 32,
            Self::Boolean => 1,
            Self::Mac => 6,
            Self::Float32 | Self::Seconds | Self::Ipv4 => 4,
            Self::Float64 | Self::Milliseconds | Self::Microseconds | Self::Nanoseconds => 8,
            Self::Ipv6 => 16,
        }
    }

    /// What octets of a field mean; `None`: null.
    pub(crate) fn value(self, octets: &[u8], is_variable: bool) -> Value {
        let unsigned = |octets: &[u8]| octets.iter().fold(0u128, |v, &o| v << 8 | u128::from(o));
        let raw = || unsigned(octets);
        match self {
            Self::Octets | Self::Padding => Value::Octets(octets.to_vec()),
            Self::Text => {
                let end = match octets.iter().position(|&octet| octet == 0) {
                    Some(nul) if !is_variable => nul,
                    _ => octets.len(),
                };
                match String::from_utf8(octets[..end].to_vec()) {
                    Ok(text) => Value::Text(text),
                    Err(_) => Value::Null,
                }
            }
            Self::Unsigned(width) => {
                let significant = octets.iter().skip_while(|&&octet| octet == 0).count();
                if octets.is_empty() || significant > usize::from(width) {
                    return Value::Null;
                }
                Value::Number(unsigned(&octets[octets.len() - significant..]) as i128)
            }
            Self::Signed(width) => {
                if octets.is_empty() || octets.len() > 8 {
                    return Value::Null;
                }
                let bits = 8 * octets.len() as u32;
                let mut number = raw() as i128;
                if octets[0] >= 0x80 {
                    number -= 1 << bits;
                }
                let limit = 1i128 << (8 * width - 1);
                if (-limit..limit).contains(&number) {
                    Value::Number(number)
                } else {
                    Value::Null
                }
            }
            Self::Unsigned256 if octets.len() <= 32 => {
                let mut padded = vec![0; 32 - octets.len()];
                padded.extend(octets);
                Value::Octets(padded)
            }
            Self::Float32 if octets.len() == 4 => {
                Value::float(f64::from(f32::from_bits(raw() as u32)))
            }
            Self::Float64 if octets.len() == 4 => {
                Value::float(f64::from(f32::from_bits(raw() as u32)))
            }
            // What a float32 column makes of eight octets.
            Self::Float64 if octets.len() == 8 => Value::float(f64::from_bits(raw() as u64)),
            Self::Float32 if octets.len() == 8 => Value::Null,
            Self::Boolean => match octets {
                [1] => Value::Number(1),
                [2] => Value::Number(0),
                _ => Value::Null,
            },
            Self::Mac if octets.len() == 6 => Value::Octets(octets.to_vec()),
            Self::Ipv4 if octets.len() == 4 => Value::Octets(octets.to_vec()),
            Self::Ipv6 if octets.len() == 16 => Value::Octets(octets.to_vec()),
            Self::Seconds if octets.len() == 4 => Value::Number(raw() as i128),
            Self::Milliseconds if octets.len() == 8 && octets[0] < 0x80 => {
                Value::Number(raw() as i128)
            }
            Self::Microseconds if octets.len() == 8 => {
                Value::Number(ntp((raw() & !0x7ff) + HALF_A_MICROSECOND, 1_000_000))
            }
            Self::Nanoseconds if octets.len() == 8 => Value::Number(ntp(raw(), 1_000_000_000)),
            _ => Value::Null,
        }
    }
}

/// In units of 2^-32 s, rounded up: what makes rounding down rounding to the nearest microsecond.
const HALF_A_MICROSECOND: u128 = 2148;

/// FF-DT-01, FF-SQ-07: seconds since 1900, or since 7 February 2036 where they would else be before 1970, and a binary fraction.
fn ntp(raw: u128, units: u128) -> i128 {
    let (seconds, fraction) = (raw >> 32, raw & 0xffff_ffff);
    let since_1900 = if seconds < 2_208_988_800 {
        seconds + (1 << 32)
    } else {
        seconds
    };
    (since_1900 as i128 - 2_208_988_800) * units as i128 + ((fraction * units) >> 32) as i128
}

/// A value, whatever holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Number(i128),
    /// As bits; all that is not a number is one.
    Float(u64),
    Octets(Vec<u8>),
    Text(String),
}

impl Value {
    fn float(value: f64) -> Self {
        Self::Float(if value.is_nan() {
            u64::MAX
        } else {
            value.to_bits()
        })
    }

    /// One row of an Arrow column.
    pub(crate) fn of(column: &ArrayRef, row: usize) -> Self {
        if column.is_null(row) {
            return Self::Null;
        }
        macro_rules! number {
            ($type:ty) => {
                Self::Number(i128::from(column.as_primitive::<$type>().value(row)))
            };
        }
        match column.data_type() {
            DataType::UInt8 => number!(UInt8Type),
            DataType::UInt16 => number!(UInt16Type),
            DataType::UInt32 => number!(UInt32Type),
            DataType::UInt64 => number!(UInt64Type),
            DataType::Int8 => number!(Int8Type),
            DataType::Int16 => number!(Int16Type),
            DataType::Int32 => number!(Int32Type),
            DataType::Int64 => number!(Int64Type),
            DataType::Timestamp(TimeUnit::Second, _) => number!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => number!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => number!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => number!(TimestampNanosecondType),
            DataType::Float32 => {
                Self::float(f64::from(column.as_primitive::<Float32Type>().value(row)))
            }
            DataType::Float64 => Self::float(column.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => Self::Number(i128::from(column.as_boolean().value(row))),
            DataType::Utf8 => Self::Text(column.as_string::<i32>().value(row).to_owned()),
            DataType::Binary => Self::Octets(column.as_binary::<i32>().value(row).to_vec()),
            DataType::FixedSizeBinary(_) => {
                Self::Octets(column.as_fixed_size_binary().value(row).to_vec())
            }
            other => panic!("no {other} in this test"),
        }
    }
}

/// Decodes the records of a data set: per record the value of each field, in the order of the template.
pub(crate) fn decode(fields: &[(Field, Type)], body: &[u8]) -> Vec<Vec<Value>> {
    let shortest: usize = fields
        .iter()
        .map(|(field, _)| match field.length {
            VARIABLE => 1,
            length => usize::from(length),
        })
        .sum();
    let mut rows = Vec::new();
    let mut rest = body;
    // RFC 7011 section 9: what is shorter than any record is padding.
    while rest.len() >= shortest {
        let mut take = |count: usize| {
            let (taken, after) = rest.split_at(count);
            rest = after;
            taken
        };
        let mut row = Vec::new();
        for (field, data_type) in fields {
            let is_variable = field.length == VARIABLE;
            let length = if is_variable {
                match take(1)[0] {
                    255 => {
                        let long = take(2);
                        usize::from(long[0]) << 8 | usize::from(long[1])
                    }
                    short => usize::from(short),
                }
            } else {
                usize::from(field.length)
            };
            row.push(data_type.value(take(length), is_variable));
        }
        rows.push(row);
    }
    rows
}
