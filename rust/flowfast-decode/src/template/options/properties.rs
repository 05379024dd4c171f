//! Common properties (RFC 5473; FF-EN-06): values that many Flow Records share are options data, and the records refer to them.

use std::sync::Arc;

use crate::element::{ElementId, PADDING_OCTETS};
use crate::plan::{FieldSource, Layout};
use crate::template::FieldSpecifier;

/// 137 commonPropertiesId.
const ID: ElementId = ElementId::iana(137);

/// Properties of one Flow Record that are looked up.
const MAX_IDS: usize = 8;

/// Octets of a record of properties that is kept: they are copied for every Flow Record that refers to it. Longer ones are refused.
pub(super) const MAX_OCTETS: usize = 512;

/// An options template of properties: their scope is their id, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PropertyFields {
    pub(super) id: FieldSource,
    /// Of the whole record: the id, which the Flow Record has itself, as padding.
    pub(super) fields: Arc<[FieldSpecifier]>,
}

impl PropertyFields {
    /// `None` if the template is none.
    pub(super) fn find(layout: &Layout<'_>) -> Option<Self> {
        let definition = layout.definition;
        let (scope, properties) = definition.fields.split_first()?;
        let (id, _) = layout.find(ID)?;
        let is_scope = definition.scope_count == 1 && scope.element == ID;
        let padding = FieldSpecifier {
            element: PADDING_OCTETS,
            length: scope.length,
        };
        is_scope.then(|| Self {
            id,
            fields: std::iter::once(padding)
                .chain(properties.iter().copied())
                .collect(),
        })
    }
}

/// Where the records of a template refer to properties.
pub(crate) fn property_ids(layout: &Layout<'_>) -> Box<[FieldSource]> {
    let ids = layout.values().filter(|(_, element, ..)| *element == ID);
    ids.map(|(.., source)| source).take(MAX_IDS).collect()
}

/// One record of properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) fields: Arc<[FieldSpecifier]>,
    pub(crate) octets: Box<[u8]>,
}

impl Properties {
    /// What it takes: templates may share their fields, but need not.
    pub(super) fn cost(fields: &[FieldSpecifier], octets: &[u8]) -> usize {
        size_of_val(fields) + octets.len()
    }
}
