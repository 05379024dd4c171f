//! Columns that message headers fill: what a header says is the same in all rows of its message, and often in those of the next.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::types::{
    ArrowPrimitiveType, TimestampMicrosecondType, TimestampMillisecondType, UInt16Type, UInt32Type,
};
use arrow_schema::{DataType, TimeUnit};

use super::{FORMAT_NAMES, MessageContext, Run};
use crate::column::{Absent, Address, Addresses, Column, Keys, Primitive};
use crate::convert::timestamp;

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
        let mut column = Primitive::with_capacity(self.rows);
        for (number, records) in self.alike(number) {
            match number {
                Some(number) => column.extend_constant(number, records),
                None => column.append_nulls(records),
            }
        }
        Arc::new(column.take_array::<T>().with_data_type(self.data_type))
    }

    fn addresses(self, address: impl Fn(&MessageContext) -> Address) -> ArrayRef {
        let mut column = Addresses::with_capacity(self.rows);
        for (address, records) in self.alike(address) {
            column.extend_constant(address, records);
        }
        Arc::new(column.take_array())
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
