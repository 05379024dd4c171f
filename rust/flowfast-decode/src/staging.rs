//! Plans, shared by all templates of equal definition, each with a stage where records of many messages come together.
//!
//! Running a plan costs something per op, so it runs for many records at once: short sets are copied end to end into a stage
//! that stays in the first-level cache, and transposed into columns when it is full (architecture section 3.3).

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::batch::{MessageContext, Run};
use crate::kernel::{Surroundings, Tile, TileShape, execute};
use crate::plan::{DecodePlan, Piece, RecordShape};
use crate::stats::Stats;
use crate::tables::Tables;
use crate::template::Definition;
use crate::template::cache::Domains;

/// A stage is transposed when it has so many octets.
const STAGE_OCTETS: usize = 16 << 10;

/// All stages are transposed when they have so many octets together: a bound, whatever exporters send.
const ALL_STAGES_OCTETS: usize = 8 << 20;

/// Plans that no template refers to any more are dropped once there are so many.
const MAX_UNUSED: usize = 1024;

/// Names a plan in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlanId(pub(crate) usize);

/// Records waiting to be transposed together.
#[derive(Debug, Default)]
struct Stage {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    runs: Vec<Run>,
    records: usize,
}

#[derive(Debug)]
struct Slot {
    definition: Arc<Definition>,
    plan: DecodePlan,
    /// Templates that refer to it.
    references: usize,
    stage: Stage,
}

/// Interned plans and their stages.
#[derive(Debug, Default)]
pub(crate) struct PlanStore {
    by_definition: HashMap<Arc<Definition>, PlanId, FixedState>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    unused: usize,
    staged_octets: usize,
    staged_records: usize,
}

impl PlanStore {
    pub(crate) fn get(&self, id: PlanId) -> Option<&DecodePlan> {
        self.slots.get(id.0)?.as_ref().map(|slot| &slot.plan)
    }

    /// Records in all stages.
    pub(crate) fn staged_records(&self) -> usize {
        self.staged_records
    }

    /// Octets in all stages.
    pub(crate) fn staged_octets(&self) -> usize {
        self.staged_octets
    }

    /// The plan of a definition, with one more reference to it. `compile` makes it if it is new; `None` if that refuses.
    pub(crate) fn intern(
        &mut self,
        definition: Definition,
        compile: impl FnOnce(&Definition) -> Option<DecodePlan>,
    ) -> Option<PlanId> {
        if let Some(&id) = self.by_definition.get(&definition) {
            let slot = self.slots[id.0].as_mut()?;
            self.unused -= usize::from(slot.references == 0);
            slot.references += 1;
            return Some(id);
        }
        let plan = compile(&definition)?;
        let definition = Arc::new(definition);
        let slot = Slot {
            definition: definition.clone(),
            plan,
            references: 1,
            stage: Stage::default(),
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[index] = Some(slot);
        self.by_definition.insert(definition, PlanId(index));
        Some(PlanId(index))
    }

    /// Takes one reference to a plan back.
    pub(crate) fn release(&mut self, id: PlanId) {
        if let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) {
            slot.references = slot.references.saturating_sub(1);
            self.unused += usize::from(slot.references == 0);
        }
    }

    /// Whether it is time to call `drop_unused`.
    pub(crate) fn has_too_many_unused(&self) -> bool {
        self.unused > MAX_UNUSED
    }

    /// Drops plans without references; their stages must be empty. Returns the tables they wrote to, one entry a plan.
    pub(crate) fn drop_unused(&mut self) -> Vec<usize> {
        let mut tables = Vec::new();
        if self.unused == 0 {
            return tables;
        }
        for index in 0..self.slots.len() {
            let Some(slot) =
                self.slots[index].take_if(|slot| slot.references == 0 && slot.stage.records == 0)
            else {
                continue;
            };
            self.by_definition.remove(&slot.definition);
            self.free.push(index);
            tables.extend(slot.plan.table);
        }
        self.unused = 0;
        tables
    }

    /// Appends the records of one set. `pieces` are relative to `body`.
    pub(crate) fn append(
        &mut self,
        id: PlanId,
        body: &[u8],
        pieces: &[Piece],
        run: Run,
        sink: &mut RowSink<'_>,
    ) {
        let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) else {
            return;
        };
        if body.len() >= STAGE_OCTETS && slot.stage.records == 0 {
            sink.run(&slot.plan, body, pieces, &[run]);
            return;
        }
        let base = slot.stage.bytes.len() as u32;
        slot.stage.bytes.extend_from_slice(body);
        slot.stage.pieces.extend(pieces.iter().map(|piece| Piece {
            start: piece.start + base,
            len: piece.len,
        }));
        slot.stage.runs.push(run);
        slot.stage.records += run.records;
        self.staged_octets += body.len();
        self.staged_records += run.records;
        if slot.stage.bytes.len() >= STAGE_OCTETS {
            self.transpose(id, sink);
        }
        if self.staged_octets >= ALL_STAGES_OCTETS {
            self.transpose_all(sink);
        }
    }

    /// Empties every stage into columns.
    pub(crate) fn transpose_all(&mut self, sink: &mut RowSink<'_>) {
        if self.staged_records == 0 {
            return;
        }
        for index in 0..self.slots.len() {
            self.transpose(PlanId(index), sink);
            if let Some(slot) = &mut self.slots[index] {
                // Stages of exporters that have gone silent give their memory back.
                slot.stage.bytes.shrink_to(STAGE_OCTETS);
            }
        }
    }

    fn transpose(&mut self, id: PlanId, sink: &mut RowSink<'_>) {
        let Some(slot) = &mut self.slots[id.0] else {
            return;
        };
        let stage = &mut slot.stage;
        if stage.records == 0 {
            return;
        }
        sink.run(&slot.plan, &stage.bytes, &stage.pieces, &stage.runs);
        self.staged_octets -= stage.bytes.len();
        self.staged_records -= stage.records;
        stage.bytes.clear();
        stage.pieces.clear();
        stage.runs.clear();
        stage.records = 0;
    }
}

/// Where rows go, and what their ops read.
pub(crate) struct RowSink<'a> {
    pub(crate) tables: &'a mut Tables,
    pub(crate) domains: &'a Domains,
    pub(crate) stats: &'a mut Stats,
}

impl RowSink<'_> {
    fn run(&mut self, plan: &DecodePlan, bytes: &[u8], pieces: &[Piece], runs: &[Run]) {
        let Some(table) = plan.table.and_then(|index| self.tables.get_mut(index)) else {
            return;
        };
        let tile = tile(
            plan,
            bytes,
            pieces,
            runs.iter().map(|run| run.records).sum(),
        );
        let domains = self.domains;
        let options = |index| domains.get(index).map(|domain| &domain.options);
        execute(
            &plan.ops,
            &tile,
            table,
            &Surroundings {
                runs,
                options: &options,
            },
            self.stats,
        );
    }
}

/// The records of a set, or of a stage, as a tile.
pub(crate) fn tile<'a>(
    plan: &DecodePlan,
    bytes: &'a [u8],
    pieces: &'a [Piece],
    records: usize,
) -> Tile<'a> {
    let shape = match &plan.shape {
        RecordShape::Fixed(record_len) => TileShape::Strided(record_len.get()),
        RecordShape::Variable { .. } => TileShape::Pieces {
            per_record: plan.shape.pieces_per_record(),
            pieces,
        },
    };
    Tile {
        bytes,
        records,
        shape,
    }
}

/// A data set whose records have been counted, and which is to be appended when its message has proved well-formed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordSpan {
    pub(crate) plan: PlanId,
    pub(crate) records: usize,
    pub(crate) context: MessageContext,
}
