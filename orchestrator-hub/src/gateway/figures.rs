use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use super::routes::ROUTES;

/// Statuses that are counted one by one; all others are counted as the first of their hundred.
const STATUSES: [u16; 19] =
    [100, 200, 300, 400, 401, 403, 404, 405, 408, 413, 422, 429, 431, 499, 500, 502, 503, 504, 529];

/// The handles of the figures of all routes, resolved once: a handle costs a tenth of finding it.
pub(super) struct HttpFigures {
    routes: Vec<RouteFigures>,
}

struct RouteFigures {
    statuses: Vec<Counter>,
    seconds: Histogram,
}

impl HttpFigures {
    pub(super) fn new() -> Self {
        let of_route = |path: &'static str| RouteFigures {
            statuses: STATUSES.iter().map(|status| of_status(path, *status)).collect(),
            seconds: histogram!("orchestrator_http_request_seconds", "route" => path),
        };
        Self { routes: ROUTES.iter().map(|route| of_route(route.path)).collect() }
    }

    /// Counts a response, and the time until it began.
    pub(super) fn count(&self, route: usize, status: u16, took: Duration) {
        let route = &self.routes[route];
        route.statuses[place(status)].increment(1);
        route.seconds.record(took);
    }
}

fn of_status(path: &'static str, status: u16) -> Counter {
    counter!("orchestrator_http_requests_total", "route" => path, "status" => status.to_string())
}

fn place(status: u16) -> usize {
    let known = |status| STATUSES.iter().position(|known| *known == status);
    known(status).or_else(|| known(status / 100 * 100)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_counted_somewhere() {
        assert_eq!((100..1000).map(|status| STATUSES[place(status)]).filter(|status| *status == 429).count(), 1);
        assert_eq!((STATUSES[place(206)], STATUSES[place(418)], STATUSES[place(999)]), (200, 400, 100));
    }
}
