//! Plans with the types that exporters tell of their own elements (RFC 5610).

use super::Decoder;
use crate::batch::MessageContext;
use crate::staging::{PlanId, Records};

impl Decoder {
    /// Takes in what the records of a set tell, if they are options data that tells types.
    pub(super) fn learn_types(&mut self, records: &Records<'_>) {
        let plan = self.plans.get(records.plan);
        let Some((plan, fields)) = plan.and_then(|plan| Some((plan, plan.types?))) else {
            return;
        };
        let context = &records.run.context;
        let teller = (context.source, context.session);
        let (now_ns, tile) = (context.received_ns, records.tile(plan));
        let stats = &mut self.stats;
        let released = self.types.learn(teller, now_ns, &fields, &tile, |warning| {
            stats.warn(warning)
        });
        released.into_iter().for_each(|plan| self.release(plan));
    }

    /// The plan of the same template with the types that its session has told, or itself. Rows decoded before stay as they are
    /// (FF-TI-05).
    pub(super) fn with_types(&mut self, plan_id: PlanId, context: &MessageContext) -> PlanId {
        if !self.plans.get(plan_id).is_some_and(|plan| plan.has_unknown) {
            return plan_id;
        }
        let teller = (context.source, context.session);
        if let Some(typed) = self.types.plan(teller, plan_id) {
            return typed;
        }
        let definition = self.plans.definition(plan_id);
        let Some(typed) = definition.and_then(|definition| self.types.apply(teller, definition))
        else {
            return plan_id;
        };
        let Some(typed) = self.intern(typed) else {
            return plan_id;
        };
        self.plans.retain(plan_id);
        let released = self.types.remember(teller, plan_id, typed);
        released.into_iter().for_each(|plan| self.release(plan));
        typed
    }

    /// Plans that are only kept because of what exporters told, or of what packets held, go: they are found again when next needed.
    pub(super) fn forget_derived_plans(&mut self) {
        let mut released = self.types.forget_plans();
        released.extend(self.objects.forget_plans());
        released.extend(self.properties.forget_plans());
        released.extend(self.sections.forget_plans());
        released.into_iter().for_each(|plan| self.release(plan));
    }
}
