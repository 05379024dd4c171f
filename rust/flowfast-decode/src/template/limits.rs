//! Bounds on what exporters can make us remember.

/// Bounds on what exporters can make us remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Observation Domains.
    pub domains: usize,
    /// Templates of one Observation Domain, over all its sessions (FF-TL-14); 65,536 at most.
    pub templates_per_domain: usize,
    /// The same over all Observation Domains.
    pub templates: usize,
    /// Fields of the templates of one Observation Domain, over all its sessions; a template counts as some fields more than it has.
    pub template_fields_per_domain: usize,
    /// Fields of all templates that differ.
    pub template_fields: usize,
    /// Templates not refreshed for so long are not used; 0: for ever (FF-V9-06, FF-TL-10). Nanoseconds.
    pub template_lifetime_ns: i64,
    /// Octets of data sets that wait for their template or for common properties, per Observation Domain (FF-V9-07).
    pub waiting_octets_per_domain: usize,
    /// The same over all Observation Domains.
    pub waiting_octets: usize,
    /// How long they wait. Nanoseconds.
    pub waiting_ns: i64,
    /// Octets of what options data teaches - sampling rates, names, common properties -, per Transport Session and Observation Domain.
    pub options_octets_per_session: usize,
    /// The same over all.
    pub options_octets: usize,
    /// Lists within lists (FF-SD-03).
    pub list_depth: usize,
    /// Data sources of one sFlow agent whose samples' sequences are followed.
    pub sample_sources_per_domain: usize,
    /// The same over all agents.
    pub sample_sources: usize,
    /// Octets of templates and options data remembered as they were sent, per Observation Domain, if a journal wants them.
    pub memory_octets_per_domain: usize,
    /// The same over all Observation Domains.
    pub memory_octets: usize,
    /// Accounts of the ledger, one for each Exporter and Observation Domain.
    pub accounts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            domains: 100_000,
            templates_per_domain: 4096,
            templates: 1_000_000,
            template_fields_per_domain: 1 << 17,
            template_fields: 1 << 20,
            template_lifetime_ns: 1_800_000_000_000,
            waiting_octets_per_domain: 1 << 20,
            waiting_octets: 64 << 20,
            waiting_ns: 30_000_000_000,
            options_octets_per_session: 1 << 20,
            options_octets: 64 << 20,
            list_depth: 8,
            sample_sources_per_domain: 4096,
            sample_sources: 1 << 18,
            memory_octets_per_domain: 4 << 20,
            memory_octets: 64 << 20,
            accounts: 10_000,
        }
    }
}
