use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use crate::runtime::cell::lock;
use crate::tenants::meter::{Account, Meter, OverLimit};

/// Accounts are not looked through before there are as many.
const FEW: usize = 1024;

/// The accounts of tenants that have the same limit, each for itself.
///
/// Those that have filled up again are dropped whenever there are twice as many as were left the last time. So there are never
/// more than twice as many as were in use at once at the busiest time so far, or [`FEW`], if that is more; an account is in
/// use until it has filled up. Dropping costs each new tenant a constant time on the average.
#[derive(Debug)]
pub(super) struct Accounts {
    meter: Meter,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    accounts: HashMap<Box<str>, Account>,
    sweep_at: usize,
}

impl Accounts {
    pub(super) fn new(meter: Meter) -> Self {
        Self { meter, table: Mutex::new(Table { accounts: HashMap::new(), sweep_at: FEW }) }
    }

    /// Charges a request to the account of its tenant.
    pub(super) fn charge(&self, tenant: &str, tokens: Option<u64>) -> Result<(), OverLimit> {
        self.meter.fits(tokens)?;
        let mut table = self.table();
        if let Some(account) = table.accounts.get_mut(tenant) {
            return self.meter.charge(account, tokens);
        }
        table.sweep(&self.meter);
        self.meter.charge(table.accounts.entry(tenant.into()).or_default(), tokens)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

impl Table {
    /// Drops accounts that say nothing any more, if there are many.
    fn sweep(&mut self, meter: &Meter) {
        if self.accounts.len() < self.sweep_at {
            return;
        }
        let unused = meter.unused();
        self.accounts.retain(|_, account| !unused(account));
        self.sweep_at = FEW.max(2 * self.accounts.len());
        self.accounts.shrink_to(self.sweep_at);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::tenants::Limit;

    fn accounts(limit: Limit) -> Accounts {
        Accounts::new(Meter::new(limit).expect("it limits something"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_thousand_names_leave_no_more_than_twice_those_of_the_last_moments() {
        let accounts = accounts(Limit::new().requests_per_second(1));
        for name in 0..100_000 {
            accounts.charge(&name.to_string(), None).expect("its first request");
            let known = accounts.table().accounts.len();
            assert!(known <= 2 * 1_001, "{known} accounts, and a thousand tenants asked within the last second");
            advance(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_that_a_crowd_took_is_given_back() {
        let accounts = accounts(Limit::new().requests_per_second(1));
        for name in 0..40 * FEW {
            accounts.charge(&name.to_string(), None).expect("its first request");
        }
        assert_eq!(accounts.table().accounts.len(), 40 * FEW);
        for name in 40 * FEW..80 * FEW {
            advance(Duration::from_millis(1)).await;
            accounts.charge(&name.to_string(), None).expect("its first request");
        }
        assert!(accounts.table().accounts.capacity() < 8 * FEW, "{}", accounts.table().accounts.capacity());
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_has_not_filled_up_outlives_the_names_that_come_meanwhile() {
        let accounts = accounts(Limit::new().requests_per_second(1).tokens_per_minute(60));
        accounts.charge("busy", Some(60)).expect("all that it has");
        advance(Duration::from_secs(58)).await;
        for name in 0..10 * FEW {
            accounts.charge(&name.to_string(), None).expect("its first request");
            advance(Duration::from_micros(190)).await;
        }
        assert!(accounts.table().accounts.len() < 10 * FEW, "some were dropped");
        let refused = accounts.charge("busy", Some(60)).expect_err("not a minute has passed");
        let passed = Duration::from_secs(58) + Duration::from_micros(190) * 10 * FEW as u32;
        assert_eq!(refused, OverLimit::Until(Duration::from_secs(60) - passed));
    }
}
