//! The order of the fields in a template.

use std::{cmp::Reverse, str::FromStr};

use super::{
    error::ExportOptionsError, options::by_name, random::SplitMix64, template::FieldSpecifier,
};

/// The order of a template's fields, which decides how fast a collector can be (FF-ORD-10 to 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOrder {
    /// Largest first, ties by element id (FF-ORD-05).
    Canonical,
    /// `Canonical` backwards.
    Reversed,
    /// By the seed; each Exporter has an order of its own.
    Shuffled,
    /// Small and large in turn, so that large fields are misaligned and no neighbours are neighbours in
    /// the canonical order.
    Worst,
    /// As the template lists them.
    AsListed,
}

impl FieldOrder {
    /// Every order.
    pub const ALL: [Self; 5] = [
        Self::Canonical,
        Self::Reversed,
        Self::Shuffled,
        Self::Worst,
        Self::AsListed,
    ];

    /// As written on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Canonical => "canonical",
            Self::Reversed => "reversed",
            Self::Shuffled => "shuffled",
            Self::Worst => "worst",
            Self::AsListed => "as-listed",
        }
    }

    /// Arranges the fields, `Shuffled` by the given random numbers.
    pub(super) fn arrange(self, fields: &mut Vec<FieldSpecifier>, random: &mut SplitMix64) {
        if self == Self::AsListed {
            return;
        }
        fields.sort_by_key(|field| (Reverse(field.octets), field.element));
        match self {
            Self::Reversed => fields.reverse(),
            Self::Shuffled => shuffle(fields, random),
            Self::Worst => *fields = misaligned(std::mem::take(fields)),
            Self::Canonical | Self::AsListed => {}
        }
    }
}

impl FromStr for FieldOrder {
    type Err = ExportOptionsError;

    fn from_str(name: &str) -> Result<Self, ExportOptionsError> {
        by_name("order", name, &Self::ALL, Self::name)
    }
}

/// Fisher and Yates.
fn shuffle(fields: &mut [FieldSpecifier], random: &mut SplitMix64) {
    for last in (1..fields.len()).rev() {
        fields.swap(last, random.below(last as u64 + 1) as usize);
    }
}

/// Takes from the small and the large end of the canonical order in turn, and of the large ones the first
/// that does not fall on a multiple of its size.
fn misaligned(mut canonical: Vec<FieldSpecifier>) -> Vec<FieldSpecifier> {
    // An odd offset misaligns whatever follows: an odd number of single octets comes before the last large
    // fields, and one that is left over ends the record.
    let single_octets = canonical.iter().filter(|field| field.octets == 1).count();
    let left_over = if single_octets > 0 && single_octets.is_multiple_of(2) {
        canonical.pop()
    } else {
        None
    };
    let mut arranged = Vec::with_capacity(canonical.len() + 1);
    let mut offset = 0;
    while let Some(smallest) = canonical.pop() {
        offset += smallest.octets;
        arranged.push(smallest);
        let is_next = |field: &FieldSpecifier| {
            field.octets > smallest.octets && !offset.is_multiple_of(field.octets)
        };
        if let Some(index) = canonical.iter().position(is_next) {
            let large = canonical.remove(index);
            offset += large.octets;
            arranged.push(large);
        }
    }
    arranged.extend(left_over);
    arranged
}
