//! What exporters taught, as they sent it: so that another decoder can be taught the same, on another machine or after a restart.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;

use foldhash::fast::RandomState;

use super::cache::Session;
use crate::batch::FormatCode;

/// Octets of options data remembered per session and template: of many records, those that came last.
const MAX_OPTIONS_OCTETS: usize = 256 << 10;

/// What a set taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taught {
    /// The definition of this template or options template.
    Template(u16),
    /// Records of this options template.
    Options(u16),
}

/// A set that taught something, as a message of its own.
#[derive(Debug)]
pub(crate) struct Lesson {
    pub(crate) session: Session,
    pub(crate) received_ns: i64,
    pub(crate) message: Box<[u8]>,
    set_start: usize,
    /// Templates that it defines and no later lesson does.
    templates: u16,
}

impl Lesson {
    fn cost(&self) -> usize {
        size_of::<Self>() + self.message.len()
    }

    /// The set, without the header of its message, which differs from one to the next.
    fn set(&self) -> &[u8] {
        &self.message[self.set_start..]
    }
}

/// The lessons of one Observation Domain that still hold.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// In the order in which they first came.
    lessons: BTreeMap<u64, Lesson>,
    templates: HashMap<(Session, u16), u64, RandomState>,
    options: HashMap<(Session, u16), VecDeque<u64>, RandomState>,
    next: u64,
    octets: usize,
}

impl Memory {
    /// What it takes.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// In the order in which they first came.
    pub(crate) fn lessons(&self) -> impl Iterator<Item = &Lesson> {
        self.lessons.values()
    }

    /// Remembers what a set taught, and forgets what that replaces. Nothing new is taken beyond `max_octets`: `false`.
    pub(crate) fn remember(
        &mut self,
        session: Session,
        received_ns: i64,
        taught: Taught,
        (message, set_start): (Box<[u8]>, usize),
        max_octets: usize,
    ) -> bool {
        let lesson = Lesson {
            session,
            received_ns,
            message,
            set_start,
            templates: 0,
        };
        match taught {
            Taught::Template(template_id) => self.define(template_id, lesson, max_octets),
            Taught::Options(template_id) => self.note(template_id, lesson, max_octets),
        }
    }

    fn define(&mut self, template_id: u16, lesson: Lesson, max_octets: usize) -> bool {
        let key = (lesson.session, template_id);
        // Sent again as it was, it keeps its place: before the options data that it describes, or that says something of it.
        let known = self.templates.get(&key);
        if let Some(known) = known.and_then(|place| self.lessons.get_mut(place))
            && known.set() == lesson.set()
        {
            (known.received_ns, known.message) = (lesson.received_ns, lesson.message);
            return true;
        }
        if let Some(before) = self.templates.remove(&key) {
            let is_last = self.lessons.get_mut(&before).is_some_and(|known| {
                known.templates -= 1;
                known.templates == 0
            });
            if is_last {
                self.forget(before);
            }
        }
        // One set may define several templates.
        let same = self.lessons.last_key_value().filter(|(_, last)| {
            last.templates > 0
                && last.session == lesson.session
                && last.received_ns == lesson.received_ns
                && last.message == lesson.message
        });
        let place = match same.map(|(&place, _)| place) {
            Some(place) => place,
            None => match self.add(lesson, max_octets) {
                Some(place) => place,
                None => return false,
            },
        };
        if let Some(known) = self.lessons.get_mut(&place) {
            known.templates += 1;
        }
        self.templates.insert(key, place);
        true
    }

    fn note(&mut self, template_id: u16, lesson: Lesson, max_octets: usize) -> bool {
        let key = (lesson.session, template_id);
        let mut places = self.options.remove(&key).unwrap_or_default();
        let repeated = |place: &u64| {
            let known = self.lessons.get(place);
            known.is_some_and(|known| known.set() == lesson.set())
        };
        if let Some(index) = places.iter().position(repeated)
            && let Some(place) = places.remove(index)
        {
            self.forget(place);
        }
        let place = self.add(lesson, max_octets);
        places.extend(place);
        let cost = |places: &VecDeque<u64>| {
            let known = places.iter().filter_map(|place| self.lessons.get(place));
            known.map(Lesson::cost).sum::<usize>()
        };
        let mut octets = cost(&places);
        while octets > MAX_OPTIONS_OCTETS
            && let Some(oldest) = places.pop_front()
        {
            octets -= self.lessons.get(&oldest).map_or(0, Lesson::cost);
            self.forget(oldest);
        }
        if !places.is_empty() {
            self.options.insert(key, places);
        }
        place.is_some()
    }

    fn add(&mut self, lesson: Lesson, max_octets: usize) -> Option<u64> {
        if self.octets + lesson.cost() > max_octets {
            return None;
        }
        let place = self.next;
        self.next += 1;
        self.octets += lesson.cost();
        self.lessons.insert(place, lesson);
        Some(place)
    }

    fn forget(&mut self, place: u64) {
        if let Some(gone) = self.lessons.remove(&place) {
            self.octets -= gone.cost();
        }
    }

    /// Forgets the templates that are not `known` any more, and the options data that they described.
    pub(crate) fn retain(&mut self, known: impl Fn(Session, u16) -> bool) {
        let gone: Vec<_> = self
            .templates
            .iter()
            .filter(|((session, template_id), _)| !known(*session, *template_id))
            .map(|(&key, &place)| (key, place))
            .collect();
        for (key, place) in gone {
            self.templates.remove(&key);
            if let Some(lesson) = self.lessons.get_mut(&place) {
                lesson.templates -= 1;
                if lesson.templates == 0 {
                    self.forget(place);
                }
            }
        }
        let gone: Vec<_> = self
            .options
            .keys()
            .filter(|(session, template_id)| !known(*session, *template_id))
            .copied()
            .collect();
        for key in gone {
            for place in self.options.remove(&key).unwrap_or_default() {
                self.forget(place);
            }
        }
    }
}

/// One set of a message, at `set` with its header, as a message of its own that ends with it; and where the set begins there.
pub(crate) fn message_of_set(
    format: FormatCode,
    message: &[u8],
    set: Range<usize>,
) -> (Box<[u8]>, usize) {
    let header_len = match format {
        FormatCode::Netflow9 => 20,
        _ => 16,
    };
    let mut octets = Vec::with_capacity(header_len + set.len());
    octets.extend_from_slice(&message[..header_len]);
    octets.extend_from_slice(&message[set]);
    // RFC 7011 section 3.1: octets of the message; RFC 3954 section 5.1: records, which many exporters take for sets (FF-V9-03).
    let length = match format {
        FormatCode::Netflow9 => 1,
        _ => octets.len() as u16,
    };
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    (octets.into(), header_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Session = Session {
        exporter_port: 1,
        local_port: 2,
    };

    /// A message with a header of 16 octets whose set is `set`.
    fn remember(memory: &mut Memory, taught: Taught, received_ns: i64, set: &[u8]) -> bool {
        let message: Vec<u8> = [&[received_ns as u8; 16], set].concat();
        memory.remember(SESSION, received_ns, taught, (message.into(), 16), 1 << 20)
    }

    fn sets(memory: &Memory) -> Vec<&[u8]> {
        memory.lessons().map(Lesson::set).collect()
    }

    #[test]
    fn a_set_is_remembered_as_long_as_one_of_its_templates_holds() {
        let mut memory = Memory::default();
        assert!(remember(&mut memory, Taught::Template(256), 1, b"both"));
        assert!(remember(&mut memory, Taught::Template(257), 1, b"both"));
        assert_eq!(sets(&memory), [b"both"], "once");
        remember(&mut memory, Taught::Template(256), 2, b"256");
        assert_eq!(sets(&memory), [&b"both"[..], b"256"]);
        remember(&mut memory, Taught::Template(257), 3, b"257");
        assert_eq!(sets(&memory), [b"256", b"257"]);
        memory.retain(|_, id| id == 257);
        assert_eq!(sets(&memory), [b"257"]);
        memory.retain(|_, _| false);
        assert_eq!(memory.octets(), 0);
    }

    #[test]
    fn options_data_is_kept_in_order_each_once_and_within_bounds() {
        let mut memory = Memory::default();
        for (ns, set) in [(1, b"a"), (2, b"b"), (3, b"a")] {
            remember(&mut memory, Taught::Options(300), ns, set);
        }
        assert_eq!(sets(&memory), [b"b", b"a"]);
        for n in 0..2000_u16 {
            let set = [&n.to_be_bytes()[..], &[0; 1000]].concat();
            remember(&mut memory, Taught::Options(300), 4, &set);
            assert!(memory.octets() <= MAX_OPTIONS_OCTETS);
        }
        let last = memory.lessons().last().unwrap();
        assert_eq!(last.set()[..2], 1999_u16.to_be_bytes());
    }

    #[test]
    fn nothing_new_beyond_the_bound() {
        let mut memory = Memory::default();
        let message = || (vec![0; 600].into_boxed_slice(), 16);
        assert!(memory.remember(SESSION, 1, Taught::Template(256), message(), 1000));
        assert!(!memory.remember(SESSION, 2, Taught::Template(257), message(), 1000));
        assert!(
            memory.remember(SESSION, 3, Taught::Template(256), message(), 1000),
            "but what is known is renewed"
        );
    }
}
