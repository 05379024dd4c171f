//! What exporters tell of their own elements (RFC 5610): name, data type, semantics and units, in options data.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Definition;
use super::cache::Session;
use crate::bytes::be_uint;
use crate::column::Address;
use crate::element::{AbstractDataType, ElementId, LearnedElement, REVERSE_PEN, is_known_name};
use crate::error::Warning;
use crate::kernel::Tile;
use crate::plan::{FieldSource, Layout};
use crate::staging::PlanId;

/// Elements remembered of one Transport Session, and of all.
const MAX_ELEMENTS_PER_SESSION: usize = 4096;
const MAX_ELEMENTS: usize = 1 << 16;

/// Plans remembered of one Transport Session; those of templates that were redefined go with the others when there are more.
const MAX_PLANS_PER_SESSION: usize = 256;

/// FF-TI-07.
const MAX_NAME_LEN: usize = 255;

/// Fields of an options template that tell the type of an element (RFC 5610 section 3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeFields {
    /// 303 informationElementId, 346 privateEnterpriseNumber.
    id: FieldSource,
    pen: Option<FieldSource>,
    /// 339 informationElementDataType, 344 informationElementSemantics, 345 informationElementUnits, 341 informationElementName.
    data_type: FieldSource,
    semantics: Option<FieldSource>,
    units: Option<FieldSource>,
    name: Option<FieldSource>,
}

impl TypeFields {
    /// `None` if the template tells no types.
    pub(crate) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        Some(Self {
            id: source(303)?,
            pen: source(346),
            data_type: source(339)?,
            semantics: source(344),
            units: source(345),
            name: source(341),
        })
    }

    /// What a record tells; `None` if its data type has no meaning (FF-TI-06).
    fn read(&self, tile: &Tile<'_>, record: usize) -> Option<(ElementId, LearnedElement)> {
        let value = |source| be_uint(tile.field(record, source)).0;
        let small = |source: Option<_>| source.map_or(0, value);
        let element = ElementId {
            pen: u32::try_from(small(self.pen)).ok()?,
            // FF-TI-04: whether the enterprise bit is set says nothing.
            id: (value(self.id) & 0x7fff) as u32,
        };
        let name = self.name.map(|source| tile.field(record, source));
        let learned = LearnedElement {
            name: name.and_then(column_name),
            data_type: data_type(value(self.data_type))?,
            semantics: small(self.semantics) as u8,
            units: small(self.units) as u16,
        };
        Some((element, learned))
    }
}

/// IANA's informationElementDataType (RFC 5610 section 3.1; spec 2.3.5).
fn data_type(number: u64) -> Option<AbstractDataType> {
    use AbstractDataType::*;
    const TYPES: [AbstractDataType; 24] = [
        OctetArray,
        Unsigned8,
        Unsigned16,
        Unsigned32,
        Unsigned64,
        Signed8,
        Signed16,
        Signed32,
        Signed64,
        Float32,
        Float64,
        Boolean,
        MacAddress,
        String,
        DateTimeSeconds,
        DateTimeMilliseconds,
        DateTimeMicroseconds,
        DateTimeNanoseconds,
        Ipv4Address,
        Ipv6Address,
        BasicList,
        SubTemplateList,
        SubTemplateMultiList,
        Unsigned256,
    ];
    TYPES.get(usize::try_from(number).ok()?).copied()
}

/// A name as RFC 7012 section 2.3 has them: anything else could break what shows it (FF-TI-07).
fn column_name(octets: &[u8]) -> Option<Box<str>> {
    // Names of a fixed length end with zeros (FF-Q-11).
    let name = octets.split(|&octet| octet == 0).next()?;
    let is_name = name.len() <= MAX_NAME_LEN
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && name
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || b"_-.".contains(octet));
    let name = std::str::from_utf8(name).ok().filter(|_| is_name)?;
    Some(name.into())
}

/// Names a Transport Session (FF-TI-01): what one tells holds for all its Observation Domains, and for no other session.
type Teller = (Address, Session);

/// What all sessions have told.
#[derive(Debug, Default)]
pub(crate) struct LearnedTypes {
    sessions: HashMap<Teller, SessionTypes, RandomState>,
    elements: usize,
}

#[derive(Debug, Default)]
struct SessionTypes {
    elements: HashMap<ElementId, Told, RandomState>,
    /// Plans of templates with such elements, and what they are with their types.
    plans: HashMap<PlanId, PlanId, RandomState>,
    last_told_ns: i64,
}

/// What a session has told of an element.
#[derive(Debug)]
struct Told {
    first: LearnedElement,
    /// The same, but for a name that would pass for another column; `None`: it was told differently later (FF-TI-03).
    believed: Option<Arc<LearnedElement>>,
}

impl Told {
    fn new(first: LearnedElement) -> Self {
        let mut believed = first.clone();
        believed.name = believed.name.filter(|name| !is_known_name(name));
        Self {
            first,
            believed: Some(Arc::new(believed)),
        }
    }
}

impl LearnedTypes {
    /// Takes in options records. Returns plans to which references are to be given back.
    pub(crate) fn learn(
        &mut self,
        teller: Teller,
        now_ns: i64,
        fields: &TypeFields,
        tile: &Tile<'_>,
        mut warn: impl FnMut(Warning),
    ) -> Vec<PlanId> {
        let mut released = Vec::new();
        for record in 0..tile.records {
            let Some((element, told)) = fields.read(tile, record) else {
                warn(Warning::TypeInfoIgnored);
                continue;
            };
            // FF-TI-02.
            if let Some(known) = element.describe() {
                if known.data_type != told.data_type {
                    warn(Warning::TypeInfoConflict);
                }
                continue;
            }
            if element.pen == REVERSE_PEN {
                warn(Warning::TypeInfoIgnored);
                continue;
            }
            if self.elements >= MAX_ELEMENTS {
                released.extend(self.forget_oldest());
            }
            let session = self.sessions.entry(teller).or_default();
            session.last_told_ns = now_ns;
            let is_full = session.elements.len() >= MAX_ELEMENTS_PER_SESSION;
            match session.elements.get_mut(&element) {
                Some(known) if known.believed.is_none() || known.first == told => continue,
                Some(known) => {
                    known.believed = None;
                    warn(Warning::TypeInfoConflict);
                }
                None if is_full => {
                    warn(Warning::TypeInfoIgnored);
                    continue;
                }
                None => {
                    session.elements.insert(element, Told::new(told));
                    self.elements += 1;
                }
            }
            released.extend(session.forget_plans());
        }
        released
    }

    /// What a plan is with the types that the session has told, if they have been applied.
    pub(crate) fn plan(&self, teller: Teller, plan: PlanId) -> Option<PlanId> {
        self.sessions.get(&teller)?.plans.get(&plan).copied()
    }

    /// A definition with the types that its session has told; `None` if it has told none of its elements.
    pub(crate) fn apply(&self, teller: Teller, definition: &Definition) -> Option<Definition> {
        let session = self.sessions.get(&teller)?;
        let mut learned: Vec<_> = definition
            .fields
            .iter()
            .filter_map(|field| {
                let told = session.elements.get(&field.element)?.believed.clone()?;
                Some((field.element, told))
            })
            .collect();
        learned.sort_by_key(|(element, _)| *element);
        learned.dedup_by_key(|(element, _)| *element);
        (!learned.is_empty()).then(|| Definition {
            learned: learned.into(),
            ..definition.clone()
        })
    }

    /// Remembers what a plan is with its types. Both references are ours from now on; returns those to be given back.
    pub(crate) fn remember(&mut self, teller: Teller, plan: PlanId, typed: PlanId) -> Vec<PlanId> {
        let Some(session) = self.sessions.get_mut(&teller) else {
            return vec![plan, typed];
        };
        let released = match session.plans.len() {
            MAX_PLANS_PER_SESSION.. => session.forget_plans(),
            _ => Vec::new(),
        };
        session.plans.insert(plan, typed);
        released
    }

    /// Gives all plans back; they are found again when next needed.
    pub(crate) fn forget_plans(&mut self) -> Vec<PlanId> {
        self.sessions
            .values_mut()
            .flat_map(SessionTypes::forget_plans)
            .collect()
    }

    /// Forgets the sixteenth part of the sessions that has told nothing for longest.
    fn forget_oldest(&mut self) -> Vec<PlanId> {
        let mut ages: Vec<(i64, Teller)> = self
            .sessions
            .iter()
            .map(|(teller, session)| (session.last_told_ns, *teller))
            .collect();
        ages.sort_by_key(|(last_told_ns, _)| *last_told_ns);
        ages.truncate(ages.len() / 16 + 1);
        let mut released = Vec::new();
        for (_, teller) in ages {
            if let Some(mut session) = self.sessions.remove(&teller) {
                self.elements -= session.elements.len();
                released.extend(session.forget_plans());
            }
        }
        released
    }
}

impl SessionTypes {
    fn forget_plans(&mut self) -> Vec<PlanId> {
        let plans = self.plans.drain();
        plans.flat_map(|(plan, typed)| [plan, typed]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_names() {
        // FF-TI-07; RFC 7012 section 2.3.
        assert_eq!(
            column_name(b"acmeWidgetId\0\0").as_deref(),
            Some("acmeWidgetId")
        );
        for other in [
            &b""[..],
            b"_exporter",
            b"a b",
            b"a\"b",
            b"caf\xc3\xa9",
            &[b'a'; 256],
        ] {
            assert_eq!(column_name(other), None, "{other:?}");
        }
        for other in [
            "octetDeltaCount",
            "reverseOctetDeltaCount",
            "OctetDeltaCount",
        ] {
            assert!(is_known_name(other), "{other}");
        }
        assert!(!is_known_name("acmeWidgetId"));
    }

    #[test]
    fn data_types_by_number() {
        assert_eq!(data_type(2), Some(AbstractDataType::Unsigned16));
        assert_eq!(data_type(13), Some(AbstractDataType::String));
        assert_eq!(data_type(22), Some(AbstractDataType::SubTemplateMultiList));
        assert_eq!(data_type(24), None);
    }
}
