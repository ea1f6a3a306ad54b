//! Where the server is.

use orchestrator_core::error::InvalidInput;
use reqwest::Url;

/// A base URL to which the paths of routes are added.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    base: Url,
    /// Without a slash at the end.
    url: String,
}

impl Endpoint {
    pub(super) fn parse(base_url: &str) -> Result<Self, InvalidInput> {
        let fault = |problem: &'static str| InvalidInput::new("base_url", problem);
        let base = Url::parse(base_url.trim()).map_err(|_| fault("must be a URL, such as http://127.0.0.1:8080"))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(fault("must begin with http:// or https:// and name a host"));
        }
        // It is shown in messages and names the server's slots.
        if !base.username().is_empty() || base.password().is_some() {
            return Err(fault("must not hold a user or a password, which belong into `key` or `header`"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(fault("must end with its path"));
        }
        let url = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { base, url })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn server(&self) -> &str {
        self.url.strip_suffix("/v1").unwrap_or(&self.url)
    }

    /// Returns the base URL's path, without a slash at the end: empty for most.
    pub(super) fn path(&self) -> &str {
        self.base.path().trim_end_matches('/')
    }

    /// Returns the URL of a route; a query may stand behind its path.
    pub(super) fn route(&self, route: &str) -> Url {
        let (path, query) = route.split_once('?').map_or((route, None), |(path, query)| (path, Some(query)));
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", self.path(), path.trim_start_matches('/')));
        url.set_query(query);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_lie_below_the_base_path() {
        let routes = [
            ("http://h:1", "/v1/models", "http://h:1/v1/models"),
            ("http://h:1/", "v1/models", "http://h:1/v1/models"),
            ("https://h/api/v1/", "/models?limit=1", "https://h/api/v1/models?limit=1"),
        ];
        for (base, route, url) in routes {
            assert_eq!(Endpoint::parse(base).expect("a URL").route(route).as_str(), url);
        }
    }

    #[test]
    fn a_server_has_one_name_however_its_url_is_written() {
        let server = |url| Endpoint::parse(url).expect("a URL").server().to_owned();
        for url in ["http://LOCALHOST:80/", " http://localhost", "http://localhost/v1", "http://localhost/v1/"] {
            assert_eq!(server(url), "http://localhost", "{url}");
        }
        assert_eq!(server("http://localhost/a"), "http://localhost/a");
    }

    #[test]
    fn what_is_no_place_of_a_server_is_refused() {
        for bad in ["", "localhost:8080", "ftp://h", "http://", "http://me:pw@h", "http://h/?v=1", "http://h/#x"] {
            assert_eq!(Endpoint::parse(bad).expect_err(bad).field(), "base_url", "{bad}");
        }
    }
}
