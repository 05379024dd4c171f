//! Strict lengths: an IPFIX message that holds what RFC 7011 and RFC 6313 call illegal is malformed (FF-DT-02, FF-SD-04). Without
//! it the octets are kept and counted, see `docs/decisions/0002-illegal-lengths.md`.

use super::Decoder;
use crate::batch::FormatCode;
use crate::convert::{Convert, is_legal, natural};
use crate::error::DecodeError;
use crate::kernel::check_list;
use crate::staging::{PlanId, Records};
use crate::template::{Definition, VARIABLE};

impl Decoder {
    /// A template must not have a field of a length that is illegal for its type (RFC 5471 section 3.6.5). Fields without octets
    /// have no value that could be misread (FF-Q-05).
    pub(crate) fn check_template(
        &self,
        format: FormatCode,
        definition: &Definition,
    ) -> Result<(), DecodeError> {
        if !self.checks_lengths(format) {
            return Ok(());
        }
        let is_legal = definition.fields.iter().all(|field| {
            let known = definition.describe(field.element);
            matches!(field.length, 0 | VARIABLE)
                || known.is_none_or(|known| is_legal(known.data_type, field.length))
        });
        is_legal.then_some(()).ok_or(DecodeError::FieldLength)
    }

    /// Nor may values whose length the template leaves open, and lists must fill their fields. `templates`: those in effect for the
    /// records.
    pub(crate) fn check_values(
        &self,
        records: &Records<'_>,
        templates: &dyn Fn(u16) -> Option<PlanId>,
    ) -> Result<(), DecodeError> {
        let plan = self.plans.get(records.plan);
        let Some(plan) = plan.filter(|_| self.checks_lengths(records.run.context.format)) else {
            return Ok(());
        };
        let sub_templates = |template_id| self.plans.sub_template(templates(template_id)?);
        let tile = records.tile(plan);
        for &(source, data_type) in &plan.told_by_value {
            for record in 0..records.run.records {
                let octets = tile.field(record, source);
                if let Some((_, Convert::List(kind))) = natural(data_type, VARIABLE) {
                    check_list(kind, octets, &sub_templates, self.limits.list_depth)?;
                } else if !is_legal(data_type, octets.len() as u16) {
                    return Err(DecodeError::FieldLength);
                }
            }
        }
        Ok(())
    }

    /// Whether values of a format are to be checked.
    pub(crate) fn checks_lengths(&self, format: FormatCode) -> bool {
        self.strict_lengths && format == FormatCode::Ipfix
    }
}
