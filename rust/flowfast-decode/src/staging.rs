//! Plans, shared by all templates of equal definition, each with a stage where records of many messages come together.
//!
//! Running a plan costs something per op, so it runs for many records at once: short sets are copied end to end into a stage
//! that stays in the first-level cache, and transposed into columns when it is full (architecture section 3.3).

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::batch::{MessageContext, Run};
use crate::kernel::{Biflows, Kernel, Neighbours, Surroundings, Tile, execute};
use crate::ledger::Ledger;
use crate::plan::{DecodePlan, Piece, SubTemplate};
use crate::stats::Stats;
use crate::tables::Tables;
use crate::template::Definition;
use crate::template::domains::Domains;
use crate::template::limits::Limits;
use crate::wire::template::{Form, TemplateRecord};

/// A stage is transposed when it has so many octets.
const STAGE_OCTETS: usize = 32 << 10;

/// All stages are transposed when they have so many octets together: a bound, whatever exporters send.
const ALL_STAGES_OCTETS: usize = 8 << 20;

/// Plans that no template refers to any more are dropped once they have so many fields.
const MAX_UNUSED_FIELDS: usize = 1 << 16;

/// What a plan takes beside its fields, in fields.
const FIELDS_PER_PLAN: usize = 16;

/// Names a plan in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlanId(pub(crate) usize);

/// Neighbouring records of one message and plan, as they were split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records<'a> {
    pub(crate) plan: PlanId,
    pub(crate) body: &'a [u8],
    /// Relative to `body`.
    pub(crate) pieces: &'a [Piece],
    pub(crate) run: &'a Run,
}

impl<'a> Records<'a> {
    /// As a tile of their plan.
    pub(crate) fn tile(&self, plan: &DecodePlan) -> Tile<'a> {
        tile(plan, self.body, self.pieces, self.run.records)
    }
}

/// What is to be run after records came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// The plan of the records, on them alone: they were not staged.
    Records,
    /// The plan of the records, on its stage.
    Stage,
    /// All plans that have something staged.
    AllStages,
}

/// Records waiting to be transposed together.
#[derive(Debug, Default)]
struct Stage {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    runs: Vec<Run>,
    records: usize,
    /// It is among `PlanStore::staged`.
    is_listed: bool,
}

impl Stage {
    /// Octets of records and of what is known of them: short records have more of that.
    fn octets(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.pieces) + size_of_val(&*self.runs)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        self.runs.clear();
        self.records = 0;
    }
}

impl Slot {
    fn fields(&self) -> usize {
        FIELDS_PER_PLAN + self.definition.fields.len()
    }
}

#[derive(Debug)]
struct Slot {
    definition: Arc<Definition>,
    /// How a template record wrote its fields, if it was made of one: the last that was taken apart.
    spelling: Option<(Form, Box<[u8]>)>,
    plan: DecodePlan,
    /// Made when a list first needs it.
    sub_template: OnceCell<Option<SubTemplate>>,
    /// Templates that refer to it.
    references: usize,
    stage: Stage,
}

/// Interned plans and their stages.
#[derive(Debug, Default)]
pub(crate) struct PlanStore {
    by_definition: HashMap<Arc<Definition>, PlanId, RandomState>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Fields of all plans, and of those without references.
    fields: usize,
    unused_fields: usize,
    /// Plans whose stages are in use, or were since all were emptied.
    staged: Vec<PlanId>,
    /// Those of the time before: stages in use then and not since give their memory back.
    staged_before: Vec<PlanId>,
    staged_octets: usize,
    staged_records: usize,
}

impl PlanStore {
    pub(crate) fn get(&self, id: PlanId) -> Option<&DecodePlan> {
        self.slots.get(id.0)?.as_ref().map(|slot| &slot.plan)
    }

    /// What a plan was made of.
    pub(crate) fn definition(&self, id: PlanId) -> Option<&Arc<Definition>> {
        self.slots.get(id.0)?.as_ref().map(|slot| &slot.definition)
    }

    /// Whether a record that is spelled so is what a plan was made of.
    pub(crate) fn is_of(&self, id: PlanId, record: &TemplateRecord<'_>) -> bool {
        let slot = self.slots.get(id.0).and_then(Option::as_ref);
        slot.is_some_and(|slot| {
            let (definition, spelling) = (&slot.definition, slot.spelling.as_ref());
            (record.kind, record.scope_count) == (definition.kind, definition.scope_count)
                && spelling.is_some_and(|(form, octets)| (*form, &**octets) == record.spelling())
        })
    }

    /// A plan is of a record that is spelled so.
    pub(crate) fn note_spelling(&mut self, id: PlanId, record: &TemplateRecord<'_>) {
        if let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) {
            let (form, octets) = record.spelling();
            slot.spelling = Some((form, octets.into()));
        }
    }

    /// Refers to a plan once more.
    pub(crate) fn retain(&mut self, id: PlanId) {
        if let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) {
            if slot.references == 0 {
                self.unused_fields -= slot.fields();
            }
            slot.references += 1;
        }
    }

    /// What all plans count as.
    pub(crate) fn fields(&self) -> usize {
        self.fields
    }

    /// What a plan counts as.
    pub(crate) fn fields_of(&self, id: PlanId) -> usize {
        let slot = self.slots.get(id.0).and_then(Option::as_ref);
        slot.map_or(0, Slot::fields)
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
            self.retain(id);
            return Some(id);
        }
        let plan = compile(&definition)?;
        let definition = Arc::new(definition);
        let slot = Slot {
            definition: definition.clone(),
            spelling: None,
            plan,
            sub_template: OnceCell::new(),
            references: 1,
            stage: Stage::default(),
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.fields += slot.fields();
        self.slots[index] = Some(slot);
        self.by_definition.insert(definition, PlanId(index));
        Some(PlanId(index))
    }

    /// Takes one reference to a plan back.
    pub(crate) fn release(&mut self, id: PlanId) {
        if let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) {
            slot.references = slot.references.saturating_sub(1);
            if slot.references == 0 {
                self.unused_fields += slot.fields();
            }
        }
    }

    /// Whether it is time to call `drop_unused`.
    pub(crate) fn has_too_many_unused(&self) -> bool {
        self.unused_fields > MAX_UNUSED_FIELDS
    }

    /// Drops plans without references; their stages must be empty. Returns the tables they wrote to, one entry a plan.
    pub(crate) fn drop_unused(&mut self) -> Vec<usize> {
        let mut tables = Vec::new();
        if self.unused_fields == 0 {
            return tables;
        }
        for index in 0..self.slots.len() {
            let Some(slot) =
                self.slots[index].take_if(|slot| slot.references == 0 && slot.stage.records == 0)
            else {
                continue;
            };
            self.fields -= slot.fields();
            self.by_definition.remove(&slot.definition);
            self.free.push(index);
            tables.extend(slot.plan.table);
        }
        self.unused_fields = 0;
        tables
    }

    /// Takes records into their stage, if they are to go there. Tells what is to be [`Self::run`] now.
    pub(crate) fn stage(&mut self, records: &Records<'_>) -> Due {
        let &Records {
            plan: id,
            body,
            pieces,
            run,
        } = records;
        let Some(Slot { plan, stage, .. }) = self.slots.get_mut(id.0).and_then(Option::as_mut)
        else {
            return Due::Nothing;
        };
        if plan.table.is_none() {
            return Due::Nothing;
        }
        if plan.has_lists || stage.records == 0 && body.len() >= STAGE_OCTETS {
            return Due::Records;
        }
        if stage.records == 0 && !std::mem::replace(&mut stage.is_listed, true) {
            self.staged.push(id);
        }
        let base = stage.bytes.len() as u32;
        stage.bytes.extend_from_slice(body);
        stage.pieces.extend(pieces.iter().map(|piece| Piece {
            start: piece.start + base,
            len: piece.len,
        }));
        stage.runs.push(*run);
        stage.records += run.records;
        self.staged_octets += body.len() + size_of_val(pieces) + size_of::<Run>();
        self.staged_records += run.records;
        if stage.octets() >= STAGE_OCTETS {
            Due::Stage
        } else if self.staged_octets >= ALL_STAGES_OCTETS {
            Due::AllStages
        } else {
            Due::Nothing
        }
    }

    /// Runs plans, after records came.
    pub(crate) fn run(&mut self, due: Due, records: &Records<'_>, sink: &mut RowSink<'_>) {
        match due {
            Due::Nothing => {}
            Due::Records => self.run_at_once(records, sink),
            Due::Stage => self.transpose(records.plan, sink),
            Due::AllStages => self.transpose_all(sink),
        }
    }

    /// Runs a plan on records that are not staged, with the templates that their lists need.
    fn run_at_once(&self, records: &Records<'_>, sink: &mut RowSink<'_>) {
        let Some(plan) = self.get(records.plan) else {
            return;
        };
        let (domains, limits) = (sink.domains, sink.limits);
        let sub_templates = |context: &MessageContext, template_id: u16| {
            let templates = &domains.get(context.sender_index)?.templates;
            let now_ns = context.received_ns;
            let found = templates.lookup(context.session, template_id, now_ns, limits);
            self.sub_template(found.plan()?)
        };
        let runs = std::slice::from_ref(records.run);
        sink.run(plan, records.body, records.pieces, runs, &sub_templates);
    }

    /// A plan as the lists of other records use it.
    pub(crate) fn sub_template(&self, id: PlanId) -> Option<&SubTemplate> {
        let slot = self.slots.get(id.0)?.as_ref()?;
        let made = slot
            .sub_template
            .get_or_init(|| SubTemplate::new(&slot.definition));
        made.as_ref()
    }

    /// Empties every stage into columns.
    pub(crate) fn transpose_all(&mut self, sink: &mut RowSink<'_>) {
        // Only stages that were in use: there may be very many that are not.
        for id in self.staged_before.drain(..) {
            if let Some(slot) = &mut self.slots[id.0]
                && !slot.stage.is_listed
            {
                slot.stage = Stage::default();
            }
        }
        std::mem::swap(&mut self.staged, &mut self.staged_before);
        for index in 0..self.staged_before.len() {
            let id = self.staged_before[index];
            self.transpose(id, sink);
            if let Some(slot) = &mut self.slots[id.0] {
                slot.stage.is_listed = false;
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
        sink.run(
            &slot.plan,
            &stage.bytes,
            &stage.pieces,
            &stage.runs,
            &|_, _| None,
        );
        self.staged_octets -= stage.octets();
        self.staged_records -= stage.records;
        stage.clear();
    }
}

/// Finds the template of an id that a message's records would be decoded with.
type SubTemplates<'f, 't> = &'f dyn Fn(&MessageContext, u16) -> Option<&'t SubTemplate>;

/// Where rows go, and what their ops read.
pub(crate) struct RowSink<'a> {
    pub(crate) kernel: Kernel,
    pub(crate) tables: &'a mut Tables,
    pub(crate) domains: &'a Domains,
    pub(crate) limits: &'a Limits,
    pub(crate) neighbours: &'a mut Neighbours,
    pub(crate) biflows: &'a mut Biflows,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) stats: &'a mut Stats,
}

impl RowSink<'_> {
    fn run(
        &mut self,
        plan: &DecodePlan,
        bytes: &[u8],
        pieces: &[Piece],
        runs: &[Run],
        sub_templates: SubTemplates<'_, '_>,
    ) {
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
        let options = |context: &MessageContext| {
            let domain = domains.get(context.domain_index)?;
            domain.options_of(context.session)
        };
        let sub_templates = |context: &_, template_id| sub_templates(context, template_id);
        let around = |runs| Surroundings {
            runs,
            options: &options,
            sub_templates: &sub_templates,
            list_depth: self.limits.list_depth,
        };
        let with_rows = match self.kernel {
            Kernel::Auto => self.neighbours.transpose(tile, &plan.neighbourhoods),
            Kernel::Scalar | Kernel::Plain => tile,
        };
        execute(
            self.kernel,
            &plan.ops,
            &with_rows,
            table,
            &around(runs),
            self.stats,
        );
        if let Some(reverse) = &plan.reverse {
            let (tile, runs) = self.biflows.select(&reverse.counters, &tile, runs);
            execute(
                self.kernel,
                &reverse.ops,
                &tile,
                table,
                &around(runs),
                self.stats,
            );
            self.stats.biflows_split += tile.records as u64;
            self.stats.records_decoded += tile.records as u64;
            for run in runs {
                if let Some(domain) = domains.get(run.context.domain_index) {
                    self.ledger.split(domain, run.records as u64);
                }
            }
        }
    }
}

/// Records of a plan, as a tile.
pub(crate) fn tile<'a>(
    plan: &DecodePlan,
    bytes: &'a [u8],
    pieces: &'a [Piece],
    records: usize,
) -> Tile<'a> {
    Tile::new(&plan.shape, bytes, pieces, records)
}
