//! What a request is asked for before it comes in: whether its tenant may, and whether it would get a slot in time.

use std::time::Duration;

use crate::admission::{Bookings, Reason, Refusal, Wish};
use crate::error::{Error, RefuseReason};
use crate::pipeline::handle::Inner;
use crate::request::{Input, RequestOptions, Size};
use crate::stage::ShedPolicy;
use crate::tenants::OverLimit;

impl<In: Input> Inner<In> {
    /// Books the request at all slots that it will take. What it is refused, it has not used up, but for its tenant's limit.
    pub(super) fn reserve(
        &self,
        input: &In,
        options: &RequestOptions,
        deadline: u64,
        now: u64,
    ) -> Result<Bookings, Error> {
        let desks = || self.shared.segments.iter().filter_map(|segment| segment.desk.as_ref());
        let tenants = &self.door.tenants;
        if !self.door.limited && desks().next().is_none() {
            return Ok(Bookings::new());
        }
        let size = input.size();
        let tenant = options.tenant.as_deref();
        tenants.check(tenant, tokens(&size)).map_err(over_limit)?;
        let wish = Wish {
            class: options.priority.lane(),
            tenant,
            weight: tenants.weight_of(tenant),
            size: &size,
            clock: self.shared.clock,
            now,
            deadline,
        };
        let predicts = self.door.policy == ShedPolicy::Predictive;
        let mut bookings = Bookings::new();
        for desk in desks() {
            match desk.book(&wish, predicts) {
                Ok(booking) => bookings.push(booking),
                Err(refusal) => {
                    for (desk, booking) in desks().zip(&bookings) {
                        desk.let_go(booking);
                    }
                    return Err(refused(&refusal));
                }
            }
        }
        Ok(bookings)
    }
}

/// The tokens that a request will use, about, as its tenant's limit counts them.
fn tokens(size: &Size) -> Option<u64> {
    match size {
        Size::Tokens { prompt, limit, .. } => Some(prompt + limit.unwrap_or(0)),
        _ => None,
    }
}

fn over_limit(over: OverLimit) -> Error {
    match over {
        OverLimit::Until(pause) => Error::forecast(RefuseReason::RateLimited, None, Some(pause)),
        OverLimit::Never(invalid) => Error::invalid(invalid),
    }
}

fn refused(refusal: &Refusal) -> Error {
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    let (wait, retry_after) = (seconds(refusal.wait), seconds(refusal.retry_after));
    match refusal.reason {
        Reason::Overloaded => Error::forecast(RefuseReason::Overloaded, wait, retry_after),
        Reason::Deadline => Error::forecast(RefuseReason::Deadline, wait, None),
        Reason::Unavailable => Error::forecast(RefuseReason::Unavailable, None, retry_after),
    }
}
