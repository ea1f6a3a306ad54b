//! What a request is asked for before it comes in: whether its tenant may, and whether it would get a slot in time.

use std::time::Duration;

use crate::admission::{Bookings, Refusal, Wish};
use crate::error::{Error, RefuseReason};
use crate::pipeline::handle::Inner;
use crate::request::{Input, RequestOptions, Size};
use crate::stage::ShedPolicy;
use crate::tenants::OverLimit;

impl<In: Input> Inner<In> {
    /// Books the request at all slots that it will take, and charges its tenant's limit. A request that is refused here has
    /// used up neither.
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
        let booked = desks().try_for_each(|desk| {
            bookings.push(desk.book(&wish, predicts).map_err(|refusal| refused(&refusal))?);
            Ok(())
        });
        let allowed = booked.and_then(|()| tenants.check(tenant, tokens(&size)).map_err(over_limit));
        if let Err(error) = allowed {
            for (desk, booking) in desks().zip(&bookings) {
                desk.let_go(booking);
            }
            return Err(error);
        }
        Ok(bookings)
    }
}

/// Tokens that an answer is taken to have where its caller sets no limit.
const ANSWER: u64 = 256;

/// The tokens that a request will use, about, as its tenant's limit counts them.
fn tokens(size: &Size) -> Option<u64> {
    match size {
        Size::Tokens { prompt, limit, .. } => Some(prompt.saturating_add(limit.unwrap_or(ANSWER))),
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
        // Whoever is too late is too late later, too; and nobody knows how long a server is away.
        RefuseReason::Deadline => Error::forecast(refusal.reason, wait, None),
        RefuseReason::Unavailable => {
            Error::forecast(refusal.reason, None, retry_after.filter(|pause| !pause.is_zero()))
        }
        reason => Error::forecast(reason, wait, retry_after),
    }
}
