//! Plans with what options data says of fields that are MIB objects (RFC 8038).

use std::sync::Arc;

use super::Decoder;
use super::derived::DerivedPlans;
use crate::batch::MessageContext;
use crate::staging::PlanId;
use crate::template::Definition;
use crate::template::options::FieldObject;

/// Plans of templates whose fields were told to be objects.
#[derive(Debug)]
pub(super) struct ObjectPlans(DerivedPlans<FieldObject>);

impl Default for ObjectPlans {
    fn default() -> Self {
        Self(DerivedPlans::new(with_objects))
    }
}

impl ObjectPlans {
    /// Gives all plans back.
    pub(super) fn forget_plans(&mut self) -> Vec<PlanId> {
        self.0.forget_plans()
    }
}

impl Decoder {
    /// The plan of the same template with the objects that options data says its fields are, or itself. Rows decoded before stay as
    /// they are (FF-MIB-02).
    pub(super) fn with_objects(&mut self, plan_id: PlanId, context: &MessageContext) -> PlanId {
        let Some(plan) = self.plans.get(plan_id) else {
            return plan_id;
        };
        if plan.mib_fields.is_empty() {
            return plan_id;
        }
        let domain = self.domains.get(context.domain_index);
        let options = domain.and_then(|domain| domain.options_of(context.session));
        let (Some(options), Some(template_id)) = (options, context.template_id) else {
            return plan_id;
        };
        let fields = plan.mib_fields.iter();
        let objects: Vec<FieldObject> = fields
            .filter_map(|&index| Some((index, Arc::new(options.object(template_id, index)?))))
            .collect();
        let mut plans = std::mem::take(&mut self.objects);
        let plan = plans.0.plan(self, plan_id, &objects);
        self.objects = plans;
        plan
    }
}

fn with_objects(definition: &Definition, objects: &[FieldObject]) -> Definition {
    Definition {
        objects: objects.into(),
        ..definition.clone()
    }
}
