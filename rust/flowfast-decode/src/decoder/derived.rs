//! Plans of templates that are made out of other templates and what is known beside them.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

use super::Decoder;
use crate::staging::PlanId;
use crate::template::Definition;

/// Combinations of templates and what is known beside them whose plans are remembered.
const MAX_PLANS: usize = 512;

/// A template, and what is known beside it.
type Derive<F> = fn(&Definition, &[F]) -> Definition;

/// Plans of the combinations seen.
#[derive(Debug)]
pub(super) struct DerivedPlans<F> {
    derive: Derive<F>,
    /// By the plan of the template, then by what was added.
    plans: HashMap<PlanId, HashMap<Box<[F]>, PlanId, RandomState>, RandomState>,
    count: usize,
}

impl<F: Clone + Eq + Hash> DerivedPlans<F> {
    pub(super) fn new(derive: Derive<F>) -> Self {
        Self {
            derive,
            plans: HashMap::default(),
            count: 0,
        }
    }

    /// The plan of a template with what is known beside it; its own where nothing is.
    pub(super) fn plan(&mut self, decoder: &mut Decoder, plan_id: PlanId, known: &[F]) -> PlanId {
        if known.is_empty() {
            return plan_id;
        }
        let found = self.plans.get(&plan_id).and_then(|plans| plans.get(known));
        if let Some(&found) = found {
            return found;
        }
        if self.count >= MAX_PLANS {
            let released = self.forget_plans();
            released.into_iter().for_each(|plan| decoder.release(plan));
        }
        let definition = decoder.plans.definition(plan_id);
        let derived = definition.map(|definition| (self.derive)(definition, known));
        let Some(plan) = derived.and_then(|derived| decoder.intern(derived)) else {
            return plan_id;
        };
        decoder.plans.retain(plan_id);
        let plans = self.plans.entry(plan_id).or_default();
        plans.insert(known.into(), plan);
        self.count += 1;
        plan
    }

    /// Gives all plans back.
    pub(super) fn forget_plans(&mut self) -> Vec<PlanId> {
        self.count = 0;
        let plans = self.plans.drain();
        plans
            .flat_map(|(plan, derived)| {
                derived
                    .into_values()
                    .flat_map(move |derived| [plan, derived])
            })
            .collect()
    }
}
