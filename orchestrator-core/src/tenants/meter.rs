use std::num::NonZeroU32;
use std::time::Duration;

use crate::error::InvalidInput;
use crate::runtime::clock::Clock;
use crate::tenants::Limit;
use crate::tenants::rate::{Level, Rate};

/// Why a request is more than its tenant may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OverLimit {
    /// It would pass after this time if nobody else asked on the tenant's account; never zero.
    Until(Duration),
    /// It expects more tokens than the tenant may ever have at once; trying again does not help.
    Never(InvalidInput),
}

/// The rates of one limit; the levels of those who are held to it lie elsewhere.
#[derive(Debug)]
pub(super) struct Meter {
    requests: Option<Rate>,
    tokens: Option<Rate>,
    clock: Clock,
    /// When the rates had been made; a moment later than they think, so that no level looks full too early.
    start: u64,
}

/// What one tenant has left.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    requests: Level,
    tokens: Level,
}

impl Meter {
    /// Makes the rates of a limit; `None` where there is nothing to keep. Rates of zero, which are faults, are left out.
    pub(super) fn new(limit: Limit) -> Option<Self> {
        let clock = Clock::start();
        let rate = |amount: Option<u32>, per, burst: Option<u32>| {
            let amount = NonZeroU32::new(amount?)?;
            Some(Rate::new(amount, per, burst.and_then(NonZeroU32::new).unwrap_or(amount), clock))
        };
        let requests = rate(limit.requests, Duration::from_secs(1), limit.burst);
        let tokens = rate(limit.tokens, Duration::from_secs(60), None);
        (requests.is_some() || tokens.is_some()).then(|| Self { requests, tokens, clock, start: clock.now() })
    }

    /// Says no to a request that could pass at no time.
    pub(super) fn fits(&self, tokens: Option<u64>) -> Result<(), OverLimit> {
        let (Some(rate), Some(tokens)) = (&self.tokens, tokens) else { return Ok(()) };
        let most = rate.burst();
        if tokens <= u64::from(most.get()) {
            return Ok(());
        }
        let problem = format!("are expected to be {tokens}, and its tenant may use {most} a minute");
        Err(OverLimit::Never(InvalidInput::new("tokens", problem)))
    }

    /// Charges a request that [fits](Self::fits) to an account: its tokens and the request itself, or neither.
    pub(super) fn charge(&self, account: &mut Account, tokens: Option<u64>) -> Result<(), OverLimit> {
        let draft = account.clone();
        let requests = take(self.requests.as_ref(), &draft.requests, Some(1));
        let tokens = take(self.tokens.as_ref(), &draft.tokens, tokens);
        if let Some(wait) = requests.err().max(tokens.err()) {
            return Err(OverLimit::Until(wait.max(Duration::from_nanos(1))));
        }
        *account = draft;
        Ok(())
    }

    /// Returns how to tell accounts that say no more than new ones at this moment.
    pub(super) fn unused(&self) -> impl Fn(&Account) -> bool + use<> {
        let since = self.clock.now().saturating_sub(self.start);
        move |account| account.requests.is_full(since) && account.tokens.is_full(since)
    }
}

fn take(rate: Option<&Rate>, level: &Level, amount: Option<u64>) -> Result<(), Duration> {
    let amount = amount.and_then(|n| NonZeroU32::new(u32::try_from(n).unwrap_or(u32::MAX)));
    match (rate, amount) {
        (Some(rate), Some(amount)) => rate.take(level, amount),
        _ => Ok(()),
    }
}
