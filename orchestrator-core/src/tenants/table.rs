use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::error::Fault;
use crate::runtime::cell::lock;
use crate::tenants::Limit;
use crate::tenants::accounts::Accounts;
use crate::tenants::meter::{Account, Meter, OverLimit};

/// What tenants are entitled to: their weight within a class, and how much they may ask for.
///
/// A cheap handle: clones share what is counted, so give all pipelines and shards of a service the same one. Something that
/// is set on a clone holds for that clone alone, with a count of its own; all that is left as it was stays shared.
///
/// Requests without a tenant are together one tenant, whose name is empty: nobody escapes the default limit by leaving the
/// name out.
///
/// A request is charged when it comes, whatever becomes of it later. One that is over a limit costs nothing: it is charged
/// to both rates or to neither.
///
/// ```
/// use orchestrator_core::tenants::{Limit, Tenants};
///
/// let tenants = Tenants::new()
///     .weight("gold", 4.0)
///     .limit("gold", Limit::new())
///     .limit("", Limit::new().requests_per_second(1))
///     .default_limit(Limit::new().requests_per_second(5).tokens_per_minute(20_000));
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Tenants(Arc<Entitlements>);

#[derive(Clone, Default)]
struct Entitlements {
    named: HashMap<Box<str>, Entitlement>,
    default: Option<Limit>,
    /// Of those who have no limit of their own.
    others: Option<Arc<Accounts>>,
}

#[derive(Clone, Default)]
struct Entitlement {
    /// 1 unless set.
    weight: Option<f64>,
    limit: Option<Limit>,
    /// `None` where the limit leaves nothing to count.
    own: Option<Arc<Own>>,
}

/// The account of a tenant with a limit of its own.
struct Own {
    meter: Meter,
    account: Mutex<Account>,
}

impl Tenants {
    /// Makes a table in which every tenant has the weight 1 and no limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a tenant's share within each class, in relation to the others'; above zero and finite, 1 unless set.
    pub fn weight(mut self, tenant: impl Into<Box<str>>, weight: f64) -> Self {
        self.named(tenant.into()).weight = Some(weight);
        self
    }

    /// Sets a tenant's own limit, in place of the default one; it starts with everything saved up.
    pub fn limit(mut self, tenant: impl Into<Box<str>>, limit: Limit) -> Self {
        let entitlement = self.named(tenant.into());
        entitlement.limit = Some(limit);
        entitlement.own = Meter::new(limit).map(|meter| Arc::new(Own { meter, account: Mutex::default() }));
        self
    }

    /// Sets the limit of every tenant without one of its own, each for itself, whether or not it is named here.
    ///
    /// Tenants are remembered until all that they may save up is there again; so memory is bounded by how many different
    /// ones ask within a minute, or within the time that the burst takes to come back. Do not let callers make names up.
    pub fn default_limit(mut self, limit: Limit) -> Self {
        let entitlements = Arc::make_mut(&mut self.0);
        entitlements.default = Some(limit);
        entitlements.others = Meter::new(limit).map(|meter| Arc::new(Accounts::new(meter)));
        self
    }

    fn named(&mut self, tenant: Box<str>) -> &mut Entitlement {
        Arc::make_mut(&mut self.0).named.entry(tenant).or_default()
    }
}

impl Tenants {
    /// Whether anybody's requests are counted.
    pub(crate) fn have_limits(&self) -> bool {
        self.0.others.is_some() || self.0.named.values().any(|entitlement| entitlement.own.is_some())
    }

    /// Returns the tenant's share within a class.
    pub(crate) fn weight_of(&self, tenant: Option<&str>) -> f64 {
        let entitlement = self.0.named.get(tenant.unwrap_or_default());
        entitlement.and_then(|e| e.weight).unwrap_or(1.0)
    }

    /// Charges a request to its tenant, unless that goes over the tenant's limit; `tokens` as far as they are known.
    ///
    /// [`OverLimit::Until`] is a refusal with that time as its `retry_after`, [`OverLimit::Never`] one for an input that is
    /// not valid. Takes no lock where there is no limit.
    pub(crate) fn check(&self, tenant: Option<&str>, tokens: Option<u64>) -> Result<(), OverLimit> {
        let tenant = tenant.unwrap_or_default();
        match self.0.named.get(tenant) {
            Some(Entitlement { limit: Some(_), own, .. }) => own.as_ref().map_or(Ok(()), |own| own.charge(tokens)),
            _ => self.0.others.as_ref().map_or(Ok(()), |others| others.charge(tenant, tokens)),
        }
    }

    /// Returns everything that is wrong with the table, by the tenants' names.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let default = self.0.default.iter().flat_map(|limit| faults_of_limit("the default limit", *limit));
        let mut named: Vec<_> = self.0.named.iter().collect();
        named.sort_unstable_by_key(|(name, _)| *name);
        default.chain(named.into_iter().flat_map(|(name, entitlement)| entitlement.faults(name))).collect()
    }
}

impl Entitlement {
    fn faults(&self, name: &str) -> Vec<Fault> {
        let whose = if name.is_empty() { "requests without a tenant".to_owned() } else { format!("tenant `{name}`") };
        let unusable = self.weight.filter(|weight| !(weight.is_finite() && *weight > 0.0));
        let weight = unusable
            .map(|w| Fault::new(None, "weight", format!("of {whose} is {w} and must be above zero and finite")));
        weight.into_iter().chain(self.limit.iter().flat_map(|limit| faults_of_limit(&whose, *limit))).collect()
    }
}

fn faults_of_limit(whose: &str, limit: Limit) -> impl Iterator<Item = Fault> {
    limit.problems().map(move |(field, problem)| Fault::new(None, field, format!("of {whose} {problem}")))
}

impl Own {
    fn charge(&self, tokens: Option<u64>) -> Result<(), OverLimit> {
        self.meter.fits(tokens)?;
        self.meter.charge(&mut lock(&self.account), tokens)
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").field("named", &self.0.named.len()).field("default", &self.0.default).finish()
    }
}
