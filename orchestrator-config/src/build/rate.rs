use orchestrator_core::tenants::{Limit, Tenants};

use crate::file::{Config, RateLimit};

/// The table of tenants, which all pipelines share.
pub(super) fn tenants(config: &Config) -> Tenants {
    let mut tenants = Tenants::new();
    if config.tenant_defaults != RateLimit::default() {
        tenants = tenants.default_limit(limit(config.tenant_defaults));
    }
    for (name, tenant) in &config.tenants {
        if let Some(weight) = tenant.weight {
            tenants = tenants.weight(name.as_str(), weight);
        }
        if tenant.rate() != RateLimit::default() {
            tenants = tenants.limit(name.as_str(), limit(tenant.rate()));
        }
    }
    tenants
}

fn limit(rate: RateLimit) -> Limit {
    let mut limit = Limit::new();
    if let Some(requests) = rate.requests_per_second {
        limit = limit.requests_per_second(requests.get());
    }
    if let Some(burst) = rate.burst {
        limit = limit.burst(burst.get());
    }
    if let Some(tokens) = rate.tokens_per_minute {
        limit = limit.tokens_per_minute(tokens.get());
    }
    limit
}
