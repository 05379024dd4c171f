//! From an element's type and length on the wire to an Arrow type and the conversion between them (spec 2.3.5).

use arrow_schema::{DataType, TimeUnit};

use crate::element::AbstractDataType::{self, *};
use crate::template::VARIABLE;
use crate::wire::list::ListKind;

/// How the octets of a field become a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Convert {
    /// Big-endian, any width up to 8 (RFC 7011 section 6.2); `(value >> shift) & mask`.
    Unsigned { shift: u8, mask: u64 },
    /// Two's complement of any width up to 8, sign-extended.
    Signed,
    /// IEEE 754, 4 or 8 octets.
    Float,
    /// 1 true, 2 false.
    Boolean,
    /// Octets of the column's width.
    Fixed,
    /// At most the column's width, zeros first.
    LeftPadded,
    /// Four octets to `::ffff:a.b.c.d`.
    MappedIpv4,
    /// Any octets.
    Octets,
    /// UTF-8; `trim`: up to the first NUL (FF-Q-11).
    Text { trim: bool },
    /// An absolute time, to the unit of the column.
    Time { from: TimeFormat, to: TimeUnit },
    /// Structured data: its type is that of what it holds (RFC 6313).
    List(ListKind),
}

/// An unsigned integer as it is.
pub(crate) const UNSIGNED: Convert = Convert::Unsigned {
    shift: 0,
    mask: u64::MAX,
};

/// Encodings of absolute time (RFC 7011 section 6.1.7 and following).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    Seconds,
    Milliseconds,
    /// NTP, of which the low 11 bits of the fraction are ignored.
    NtpMicroseconds,
    NtpNanoseconds,
}

impl TimeFormat {
    /// The format of a date type.
    pub(crate) fn of(data_type: AbstractDataType) -> Option<Self> {
        match data_type {
            DateTimeSeconds => Some(Self::Seconds),
            DateTimeMilliseconds => Some(Self::Milliseconds),
            DateTimeMicroseconds => Some(Self::NtpMicroseconds),
            DateTimeNanoseconds => Some(Self::NtpNanoseconds),
            _ => None,
        }
    }

    /// Octets on the wire.
    pub(crate) fn len(self) -> u16 {
        if self == Self::Seconds { 4 } else { 8 }
    }

    fn unit(self) -> TimeUnit {
        match self {
            Self::Seconds => TimeUnit::Second,
            Self::Milliseconds => TimeUnit::Millisecond,
            Self::NtpMicroseconds => TimeUnit::Microsecond,
            Self::NtpNanoseconds => TimeUnit::Nanosecond,
        }
    }
}

/// Timestamps are UTC.
pub(crate) fn timestamp(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some("UTC".into()))
}

/// The lossless Arrow type of an element in `wire`, and how to get there. `None`: the length is illegal for the type, keep the
/// octets (FF-DT-02). The type does not depend on a reduced length (FF-DT-03); integers longer than their type widen it. A list's type
/// is known only with its values: `Null` stands for it.
pub(crate) fn natural(data_type: AbstractDataType, length: u16) -> Option<(DataType, Convert)> {
    let fixed = |width: u16| (length == width || length == VARIABLE).then_some(width);
    let unsigned = |width: u16| {
        let wide = if length == VARIABLE {
            width
        } else {
            width.max(length)
        };
        let arrow = match wide {
            1 => DataType::UInt8,
            2 => DataType::UInt16,
            3..=4 => DataType::UInt32,
            5..=8 => DataType::UInt64,
            _ => return None,
        };
        Some((arrow, UNSIGNED))
    };
    let signed = |width: u16| {
        let wide = if length == VARIABLE {
            width
        } else {
            width.max(length)
        };
        let arrow = match wide {
            1 => DataType::Int8,
            2 => DataType::Int16,
            3..=4 => DataType::Int32,
            5..=8 => DataType::Int64,
            _ => return None,
        };
        Some((arrow, Convert::Signed))
    };
    match data_type {
        OctetArray => Some((DataType::Binary, Convert::Octets)),
        BasicList => Some((DataType::Null, Convert::List(ListKind::Basic))),
        SubTemplateList => Some((DataType::Null, Convert::List(ListKind::SubTemplate))),
        SubTemplateMultiList => Some((DataType::Null, Convert::List(ListKind::SubTemplateMulti))),
        String => Some((
            DataType::Utf8,
            Convert::Text {
                trim: length != VARIABLE,
            },
        )),
        Unsigned8 => unsigned(1),
        Unsigned16 => unsigned(2),
        Unsigned32 => unsigned(4),
        Unsigned64 => unsigned(8),
        Unsigned256 => (length <= 32 || length == VARIABLE)
            .then_some((DataType::FixedSizeBinary(32), Convert::LeftPadded)),
        Signed8 => signed(1),
        Signed16 => signed(2),
        Signed32 => signed(4),
        Signed64 => signed(8),
        Float32 => fixed(4).map(|_| (DataType::Float32, Convert::Float)),
        Float64 => fixed(4)
            .or(fixed(8))
            .map(|_| (DataType::Float64, Convert::Float)),
        Boolean => fixed(1).map(|_| (DataType::Boolean, Convert::Boolean)),
        MacAddress => fixed(6).map(|_| (DataType::FixedSizeBinary(6), Convert::Fixed)),
        Ipv4Address => fixed(4).map(|_| (DataType::FixedSizeBinary(4), Convert::Fixed)),
        Ipv6Address => fixed(16).map(|_| (DataType::FixedSizeBinary(16), Convert::Fixed)),
        IpAddress => matches!(length, 4 | 16)
            .then_some((DataType::FixedSizeBinary(i32::from(length)), Convert::Fixed)),
        DateTimeSeconds | DateTimeMilliseconds | DateTimeMicroseconds | DateTimeNanoseconds => {
            let from = TimeFormat::of(data_type)?;
            let to = from.unit();
            fixed(from.len()).map(|_| (timestamp(to), Convert::Time { from, to }))
        }
    }
}

/// Whether a value of this type may have so many octets (RFC 7011 section 6.2; FF-DT-02). Integers of more octets than their type
/// are read where their value fits (FF-DT-04), but for those of one octet, which have no other size.
pub(crate) fn is_legal(data_type: AbstractDataType, length: u16) -> bool {
    match data_type {
        Unsigned8 | Signed8 => length == 1,
        OctetArray | String | BasicList | SubTemplateList | SubTemplateMultiList => true,
        _ => length > 0 && natural(data_type, length).is_some(),
    }
}

/// How text output shows values of this type: see `flowfast.semantic`.
pub(crate) fn semantic(data_type: AbstractDataType) -> Option<&'static str> {
    match data_type {
        Ipv4Address | Ipv6Address | IpAddress => Some("ip"),
        MacAddress => Some("mac"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reduced_size_keeps_the_type() {
        // RFC 7011 section 6.2; FF-DT-03.
        assert_eq!(natural(Unsigned64, 3), Some((DataType::UInt64, UNSIGNED)));
        assert_eq!(
            natural(Signed32, 1),
            Some((DataType::Int32, Convert::Signed))
        );
        assert_eq!(
            natural(Float64, 4),
            Some((DataType::Float64, Convert::Float))
        );
    }

    #[test]
    fn longer_integers_widen_and_illegal_lengths_stay_octets() {
        // FF-V9-14, FF-Q-14: v9 sampler ids come in 1, 2 or 4 octets. FF-DT-02.
        assert_eq!(natural(Unsigned8, 4), Some((DataType::UInt32, UNSIGNED)));
        assert_eq!(natural(Unsigned64, 9), None);
        assert_eq!(natural(Ipv4Address, 5), None);
        assert_eq!(natural(MacAddress, 8), None);
        assert_eq!(natural(DateTimeSeconds, 8), None);
    }
}
