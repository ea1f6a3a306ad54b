use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use tokio::time::Instant;

use super::journal::LEFT;
use super::routes::ROUTES;

const REQUESTS: &str = "orchestrator_http_requests_total";
const SECONDS: &str = "orchestrator_http_request_seconds";
const CONNECTIONS: &str = "orchestrator_http_connections";
const REFUSED: &str = "orchestrator_http_refused_connections_total";

/// Statuses that are counted one by one; all others are counted as the first of their hundred.
const STATUSES: [u16; 19] =
    [100, 200, 300, 400, 401, 403, 404, 405, 408, 413, 422, 429, 431, 499, 500, 502, 503, 504, 529];

/// The handles of the figures of all routes, resolved once: a handle costs a tenth of finding it.
pub(super) struct HttpFigures {
    routes: Vec<RouteFigures>,
    connections: Gauge,
    refused: Counter,
}

struct RouteFigures {
    statuses: Vec<Counter>,
    seconds: Histogram,
}

impl HttpFigures {
    pub(super) fn new() -> Self {
        let of_route = |path: &'static str| RouteFigures {
            statuses: STATUSES.iter().map(|status| of_status(path, *status)).collect(),
            seconds: histogram!(SECONDS, "route" => path),
        };
        describe();
        let routes = ROUTES.iter().map(|route| of_route(route.path)).collect();
        Self { routes, connections: gauge!(CONNECTIONS), refused: counter!(REFUSED) }
    }

    /// Counts a request when what is returned is dropped: as one whose client has left, unless it is told a status.
    pub(super) const fn request(&self, route: usize, started: Instant) -> Counting<'_> {
        Counting { figures: self, route, started, status: LEFT }
    }

    /// Counts a connection as open until what is returned is dropped.
    pub(super) fn connection(&self) -> Connected {
        self.connections.increment(1.0);
        Connected(self.connections.clone())
    }

    pub(super) fn refused_connection(&self) {
        self.refused.increment(1);
    }

    /// Counts a response, and the time until it began.
    fn count(&self, route: usize, status: u16, took: Duration) {
        let route = &self.routes[route];
        route.statuses[place(status)].increment(1);
        route.seconds.record(took);
    }
}

/// A request that is counted when this is dropped.
pub(super) struct Counting<'a> {
    figures: &'a HttpFigures,
    route: usize,
    started: Instant,
    status: u16,
}

impl Counting<'_> {
    /// Counts it with the status of its response.
    pub(super) fn end(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.figures.count(self.route, self.status, self.started.elapsed());
    }
}

/// A connection that counts as open as long as this is there.
#[derive(Debug)]
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "requests by route and status of the answer");
    describe_histogram!(SECONDS, Unit::Seconds, "a request's head to that of its answer");
    describe_gauge!(CONNECTIONS, Unit::Count, "connections that are open");
    describe_counter!(REFUSED, Unit::Count, "connections for which there was no room");
}

fn of_status(path: &'static str, status: u16) -> Counter {
    counter!(REQUESTS, "route" => path, "status" => status.to_string())
}

fn place(status: u16) -> usize {
    let known = |status| STATUSES.iter().position(|known| *known == status);
    known(status).or_else(|| known(status / 100 * 100)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is rendered once a connection is open, one was refused, and two requests were counted, one of a client that left.
    fn rendered() -> String {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let figures = metrics::with_local_recorder(&recorder, HttpFigures::new);
        let (_open, closed) = (figures.connection(), figures.connection());
        drop(closed);
        figures.refused_connection();
        figures.request(0, Instant::now()).end(200);
        drop(figures.request(0, Instant::now()));
        recorder.handle().render()
    }

    #[test]
    fn what_is_rendered_is_what_the_documentation_lists() {
        let text = rendered();
        let rendered: BTreeSet<(&str, &str)> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        let page = include_str!("../../../docs/observability.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `orchestrator_http_"));
        let listed: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
        // The exporter, as it is set up here, makes a summary of a histogram.
        let kind = |kind| if kind == "histogram" { "summary" } else { kind };
        let listed: BTreeSet<(String, &str)> = listed
            .iter()
            .map(|row| (format!("orchestrator_http_{}", row[0].trim_end_matches('`')), kind(row[1])))
            .collect();
        assert_eq!(listed.iter().map(|(name, kind)| (name.as_str(), *kind)).collect::<BTreeSet<_>>(), rendered);
        for (name, _) in rendered {
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help: {text}");
        }
    }

    #[test]
    fn clients_that_leave_and_open_connections_are_counted() {
        let text = rendered();
        for line in [
            "orchestrator_http_requests_total{route=\"/v1/chat/completions\",status=\"200\"} 1",
            "orchestrator_http_requests_total{route=\"/v1/chat/completions\",status=\"499\"} 1",
            "orchestrator_http_connections 1",
            "orchestrator_http_refused_connections_total 1",
        ] {
            assert!(text.lines().any(|rendered| rendered == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn every_status_is_counted_somewhere() {
        assert_eq!((100..1000).map(|status| STATUSES[place(status)]).filter(|status| *status == 429).count(), 1);
        assert_eq!((STATUSES[place(206)], STATUSES[place(418)], STATUSES[place(999)]), (200, 400, 100));
    }
}
