//! Where the server is.

use std::borrow::Cow;

use http::uri::{InvalidUri, PathAndQuery};
use orchestrator_core::error::InvalidInput;
use reqwest::Url;

/// A base URL to which the paths of routes are added.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    base: Url,
    /// Without a slash at the end, and without the query, which may hold a key.
    url: String,
    /// What stands in the header `host`: the port only where it is not the usual one.
    authority: String,
    server: String,
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
        if base.fragment().is_some() {
            return Err(fault("must end with its path or its query"));
        }
        let url = shown(&base);
        let server = server_of(&base).map_err(|()| fault("must name a host"))?;
        let host = base.host_str().unwrap_or_default();
        let authority = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { base, url, authority, server })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Returns the host, and the port, where it is spoken to without TLS.
    pub(super) fn address(&self) -> Option<(&str, u16)> {
        let host = self.base.host_str().filter(|_| !self.is_encrypted())?;
        // An address of IPv6 stands in brackets in a URL, and not elsewhere.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some((host, self.base.port_or_known_default()?))
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the path of a route and its query, as [`route`](Self::route) has them.
    ///
    /// # Errors
    ///
    /// Where that is nothing that a request can ask for: it is too long.
    pub(super) fn target<'a>(&self, route: &'a str) -> Result<Cow<'a, str>, InvalidUri> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        if self.base.query().is_some()
            || !route.starts_with('/')
            || !route.bytes().all(is_plain)
            || route.contains("/.")
        {
            let url = self.route(route);
            let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
            return PathAndQuery::try_from(&target).map(|_| target.into());
        }
        // A URL's path holds no blanks and no control characters, and neither `?` nor `#`.
        Ok(if self.path().is_empty() { route.into() } else { [self.path(), route].concat().into() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Returns the base URL's path, without a slash at the end: empty for most.
    pub(super) fn path(&self) -> &str {
        self.base.path().trim_end_matches('/')
    }

    /// Returns the URL of a route; a query may stand behind its path. That of the base URL comes first.
    pub(super) fn route(&self, route: &str) -> Url {
        let (path, query) = route.split_once('?').map_or((route, None), |(path, query)| (path, Some(query)));
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", self.path(), path.trim_start_matches('/')));
        let queries: Vec<&str> = self.base.query().into_iter().chain(query).filter(|query| !query.is_empty()).collect();
        url.set_query((!queries.is_empty()).then(|| queries.join("&")).as_deref());
        url
    }
}

fn shown(base: &Url) -> String {
    let mut url = base.clone();
    url.set_query(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// Loopback goes by several names, and is one server.
fn server_of(base: &Url) -> Result<String, ()> {
    let mut url = base.clone();
    if matches!(url.host_str(), Some("localhost" | "[::1]")) {
        url.set_host(Some("127.0.0.1")).map_err(drop)?;
    }
    let shown = shown(&url);
    Ok(shown.strip_suffix("/v1").unwrap_or(&shown).to_owned())
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
            ("https://h/a/?api-version=2", "/models", "https://h/a/models?api-version=2"),
            ("https://h/a?api-version=2", "/models?limit=1", "https://h/a/models?api-version=2&limit=1"),
            ("https://h?", "/models", "https://h/models"),
            ("https://h", "/a b/ä", "https://h/a%20b/%C3%A4"),
            ("https://h/a", "/b/../c", "https://h/a/c"),
        ];
        for (base, route, url) in routes {
            let endpoint = Endpoint::parse(base).expect("a URL");
            assert_eq!(endpoint.route(route).as_str(), url);
            assert!(url.ends_with(&*endpoint.target(route).expect("a path")), "{url}");
        }
    }

    #[test]
    fn a_server_has_one_name_however_its_url_is_written() {
        let server = |url| Endpoint::parse(url).expect("a URL").server().to_owned();
        for url in ["http://HOST:80/", " http://host", "http://host/v1", "http://host/v1/", "http://host/v1?key=x"] {
            assert_eq!(server(url), "http://host", "{url}");
        }
        assert_eq!(server("http://host/a"), "http://host/a");
        for loopback in ["http://localhost:8080/v1", "http://127.0.0.1:8080", "http://[::1]:8080/"] {
            assert_eq!(server(loopback), "http://127.0.0.1:8080");
        }
    }

    #[test]
    fn a_query_is_sent_and_not_shown() {
        let endpoint = Endpoint::parse("http://localhost:1/v1/?key=secret").expect("a URL");
        assert_eq!(endpoint.url(), "http://localhost:1/v1");
    }

    #[test]
    fn what_is_no_place_of_a_server_is_refused() {
        for bad in ["", "localhost:8080", "ftp://h", "http://", "http://me:pw@h", "http://h/#x"] {
            assert_eq!(Endpoint::parse(bad).expect_err(bad).field(), "base_url", "{bad}");
        }
    }
}
