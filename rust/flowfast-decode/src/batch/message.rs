//! Columns that message headers fill: what a header says is the same in all rows of its message, and often in those of the next.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, TimestampMicrosecondType, TimestampMillisecondType, UInt16Type, UInt32Type,
};
use arrow_array::{ArrayRef, FixedSizeBinaryArray, PrimitiveArray};
use arrow_buffer::{Buffer, NullBufferBuilder};
use arrow_schema::{DataType, TimeUnit};

use super::{FORMAT_NAMES, MessageContext, Run};
use crate::column::{Absent, Address, Column, Keys};
use crate::convert::timestamp;

/// Values that are written at once.
const BLOCK: usize = 16;

/// A value that the message header gives to all its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageValue {
    FormatName,
    TimeReceived,
    Exporter,
    Source,
    Domain,
    Sequence,
    TemplateId,
    ExportTime,
    Uptime,
}

impl MessageValue {
    /// The type of its column.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::FormatName => DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into()),
            Self::TimeReceived => timestamp(TimeUnit::Microsecond),
            Self::ExportTime => timestamp(TimeUnit::Millisecond),
            Self::Exporter | Self::Source => DataType::FixedSizeBinary(16),
            Self::Domain | Self::Sequence | Self::Uptime => DataType::UInt32,
            Self::TemplateId => DataType::UInt16,
        }
    }

    /// Its column for the rows of these messages.
    pub(super) fn column(self, runs: &[Run], rows: usize, absent: &mut Absent) -> ArrayRef {
        let values = Values {
            data_type: self.data_type(),
            runs,
            rows,
        };
        match self {
            Self::FormatName => values.names(absent),
            Self::Exporter => values.addresses(|context| context.exporter),
            Self::Source => values.addresses(|context| context.source),
            Self::TimeReceived => values
                .numbers::<TimestampMicrosecondType>(|context| Some(context.received_ns / 1000)),
            Self::ExportTime => {
                values.numbers::<TimestampMillisecondType>(|context| context.export_time_ms)
            }
            Self::Domain => values.numbers::<UInt32Type>(|context| context.domain),
            Self::Sequence => values.numbers::<UInt32Type>(|context| context.sequence),
            Self::Uptime => values.numbers::<UInt32Type>(|context| context.uptime_ms),
            Self::TemplateId => values.numbers::<UInt16Type>(|context| context.template_id),
        }
    }
}

/// A column to be made of what messages say.
struct Values<'a> {
    data_type: DataType,
    runs: &'a [Run],
    rows: usize,
}

impl Values<'_> {
    fn numbers<T: ArrowPrimitiveType>(
        self,
        number: impl Fn(&MessageContext) -> Option<T::Native>,
    ) -> ArrayRef {
        let mut values = Vec::with_capacity(self.rows + BLOCK);
        let mut nulls = NullBufferBuilder::new(self.rows);
        for (number, records) in self.alike(number) {
            extend_constant(&mut values, number.unwrap_or_default(), records);
            match number {
                Some(_) => nulls.append_n_non_nulls(records),
                None => nulls.append_n_nulls(records),
            }
        }
        let array = PrimitiveArray::<T>::new(values.into(), nulls.finish());
        Arc::new(array.with_data_type(self.data_type))
    }

    fn addresses(self, address: impl Fn(&MessageContext) -> Address) -> ArrayRef {
        let mut values = Vec::with_capacity(self.rows + BLOCK);
        for (address, records) in self.alike(address) {
            extend_constant(&mut values, address, records);
        }
        let octets = Buffer::from_vec(values.into_flattened());
        Arc::new(FixedSizeBinaryArray::new(16, octets, None))
    }

    /// Of formats.
    fn names(self, absent: &mut Absent) -> ArrayRef {
        let mut keys = Keys::default();
        for (format, records) in self.alike(|context| context.format as u8) {
            keys.extend_constant(FORMAT_NAMES, format, records);
        }
        Column::Keys(keys).finish(&self.data_type, self.rows, absent)
    }

    /// What messages say, with the number of consecutive rows of which they say the same.
    fn alike<V: PartialEq>(
        &self,
        value: impl Fn(&MessageContext) -> V,
    ) -> impl Iterator<Item = (V, usize)> {
        let runs = self.runs.iter();
        let mut runs = runs
            .map(move |run| (value(&run.context), run.records))
            .peekable();
        std::iter::from_fn(move || {
            let (value, mut records) = runs.next()?;
            while let Some((_, more)) = runs.next_if(|next| next.0 == value) {
                records += more;
            }
            Some((value, records))
        })
    }
}

/// Appends `count` times the same, by whole blocks: messages have few records, and what is too much is cut off again.
fn extend_constant<T: Copy>(values: &mut Vec<T>, value: T, count: usize) {
    let end = values.len() + count;
    while values.len() < end {
        values.extend_from_slice(&[value; BLOCK]);
    }
    values.truncate(end);
}
