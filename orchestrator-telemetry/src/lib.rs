//! What an operator sees of a service: metrics for Prometheus, and logs.
