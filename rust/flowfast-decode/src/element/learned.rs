//! Elements that exporters define (RFC 5610).

use super::{AbstractDataType, ElementId, InformationElement};

/// What an exporter told of an element that is in no registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LearnedElement {
    /// `None`: none was told, or one that is no name for a column.
    pub(crate) name: Option<Box<str>>,
    pub(crate) data_type: AbstractDataType,
    /// IANA's informationElementSemantics, 0 where none was told.
    pub(crate) semantics: u8,
    /// IANA's informationElementUnits, 0 where none was told.
    pub(crate) units: u16,
}

impl LearnedElement {
    pub(crate) fn describe(&self, id: ElementId) -> InformationElement {
        let name = match &self.name {
            Some(name) => name.to_string(),
            None => id.column_name(),
        };
        InformationElement {
            id,
            name: name.into(),
            data_type: self.data_type,
        }
    }
}
