//! The values of a template's records as the `wire` schema shows them: a column for each field, with the name and type of its
//! element.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field};

use super::{FieldSource, Layout, RecordShape};
use crate::convert::{Convert, natural, semantic};
use crate::element::{
    AbstractDataType, ElementId, InformationElement, LearnedElement, NETFLOW9_SCOPE_BASE,
};
use crate::template::Definition;
use crate::template::options::MibObject;

/// Identifies a column: two templates with the same set of these share a table, whatever their order (FF-ORD-02).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ValueColumn {
    /// Position among the scope fields, whose order is kept (FF-IX-18); `usize::MAX` for the others.
    pub(crate) scope: usize,
    pub(crate) element: ElementId,
    /// 1 for the first field of this element, 2 for the second, ... (FF-IX-16).
    pub(crate) occurrence: usize,
    /// An illegal length or a widened integer makes another column.
    pub(crate) data_type: DataType,
    /// So does what an exporter told of its own elements (RFC 5610).
    pub(crate) learned: Option<Arc<LearnedElement>>,
    /// And which MIB object it told that the field is (RFC 8038).
    pub(crate) object: Option<Arc<MibObject>>,
}

/// A column and the field of a template that fills it.
#[derive(Clone, Debug)]
pub(crate) struct ValueField {
    pub(crate) column: ValueColumn,
    pub(crate) source: FieldSource,
    pub(crate) convert: Convert,
    /// See `flowfast.semantic`.
    pub(crate) semantic: Option<&'static str>,
}

impl ValueColumn {
    /// The column of one value of an element, outside of any template.
    pub(crate) fn of_value(
        element: ElementId,
        length: u16,
    ) -> (Self, Convert, Option<&'static str>) {
        let (data_type, convert, semantic) = element_type(element.describe(), Some(length));
        let column = Self {
            scope: usize::MAX,
            element,
            occurrence: 1,
            data_type,
            learned: None,
            object: None,
        };
        (column, convert, semantic)
    }

    /// The column of the `data_type` it has become, by a name that is not among `names` yet.
    pub(crate) fn arrow_field(
        &self,
        names: &mut HashSet<String>,
        data_type: DataType,
        semantic: Option<&str>,
    ) -> Field {
        let ElementId { pen, id } = self.element;
        let learned = self.learned.as_deref();
        let mut name = match learned {
            Some(learned) => learned.describe(self.element).name.into_owned(),
            None => self.element.column_name(),
        };
        if self.occurrence > 1 {
            name = format!("{name}_{}", self.occurrence);
        } else if names.contains(&name) {
            // Two elements of one name, or one of two types: the second goes by its number.
            name = format!("e{pen}_i{id}");
        }
        let base = name.clone();
        for number in 2.. {
            if names.insert(name.clone()) {
                break;
            }
            name = format!("{base}_{number}");
        }
        let mut metadata = HashMap::from([("flowfast.element".to_owned(), format!("{pen}:{id}"))]);
        let mut note = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        if let Some(semantic) = semantic {
            note("flowfast.semantic", semantic.to_owned());
        }
        if self.scope != usize::MAX {
            note("flowfast.scope", "true".to_owned());
        }
        if let Some(learned) = learned {
            note("flowfast.element_semantics", learned.semantics.to_string());
            note("flowfast.element_units", learned.units.to_string());
        }
        if let Some(object) = self.object.as_deref() {
            note("flowfast.mib_object", object.oid());
            if let Some(name) = &object.name {
                note("flowfast.mib_object_name", name.to_string());
            }
        }
        Field::new(name, data_type, true).with_metadata(metadata)
    }
}

/// The values of a template's records, in its own order.
pub(crate) fn value_fields(layout: &Layout<'_>) -> Vec<ValueField> {
    let scope_count = usize::from(layout.definition.scope_count);
    let mut occurrences: HashMap<ElementId, usize> = HashMap::new();
    let fields = layout.values().map(|(index, element, length, source)| {
        let occurrence = occurrences.entry(element).or_insert(0);
        *occurrence += 1;
        let (data_type, convert, semantic) = scope_type(element, length)
            .unwrap_or_else(|| element_type(layout.definition.describe(element), Some(length)));
        ValueField {
            column: ValueColumn {
                scope: if index < scope_count {
                    index
                } else {
                    usize::MAX
                },
                element,
                occurrence: *occurrence,
                data_type,
                learned: layout.definition.learned(element).cloned(),
                object: layout.definition.object(index).cloned(),
            },
            source,
            convert,
            semantic,
        }
    });
    fields.collect()
}

/// v9 scopes have no data type of their own (RFC 3954 section 6.1): four octets of the System scope are the exporter's address,
/// other short ones are numbers.
fn scope_type(
    element: ElementId,
    length: u16,
) -> Option<(DataType, Convert, Option<&'static str>)> {
    let scope = element
        .id
        .checked_sub(NETFLOW9_SCOPE_BASE)
        .filter(|_| element.pen == 0)?;
    match (scope, length) {
        (1, 4) => Some((DataType::FixedSizeBinary(4), Convert::Fixed, Some("ip"))),
        (2..=5, 1..=8) => natural(AbstractDataType::Unsigned32, length.max(4))
            .map(|(data_type, convert)| (data_type, convert, None)),
        _ => None,
    }
}

/// Type, conversion and semantic of an element; octets where it is unknown or its length illegal.
pub(crate) fn element_type(
    element: Option<InformationElement>,
    length: Option<u16>,
) -> (DataType, Convert, Option<&'static str>) {
    let known = element.map(|found| found.data_type);
    // Without a length in hand, the element's own; addresses of either family are then octets.
    let natural_length = |data_type| match data_type {
        AbstractDataType::Boolean | AbstractDataType::Unsigned8 | AbstractDataType::Signed8 => 1,
        AbstractDataType::Unsigned16 | AbstractDataType::Signed16 => 2,
        AbstractDataType::MacAddress => 6,
        AbstractDataType::Unsigned64 | AbstractDataType::Signed64 | AbstractDataType::Float64 => 8,
        AbstractDataType::DateTimeMilliseconds
        | AbstractDataType::DateTimeMicroseconds
        | AbstractDataType::DateTimeNanoseconds => 8,
        AbstractDataType::Ipv6Address => 16,
        AbstractDataType::IpAddress => 0,
        _ => 4,
    };
    let found = known.and_then(|data_type| {
        let (arrow, convert) = natural(data_type, length.unwrap_or(natural_length(data_type)))?;
        Some((arrow, convert, semantic(data_type)))
    });
    found.unwrap_or((DataType::Binary, Convert::Octets, None))
}

/// A template as the lists of other records use it (RFC 6313 section 4.5.2).
#[derive(Debug)]
pub(crate) struct SubTemplate {
    pub(crate) shape: RecordShape,
    pub(crate) fields: Vec<ValueField>,
}

impl SubTemplate {
    /// `None` if its records would have no length.
    pub(crate) fn new(definition: &Definition) -> Option<Self> {
        let layout = Layout::new(definition)?;
        Some(Self {
            fields: value_fields(&layout),
            shape: layout.shape,
        })
    }
}
