//! Pipelines as a server: OpenAI's and Anthropic's APIs in front of a [`Service`](orchestrator_config::Service).
