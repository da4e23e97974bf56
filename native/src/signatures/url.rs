//! The public URL of a source, which some providers sign.

use crate::error::Error;

/// Where the URL that a provider signs comes from.
///
/// With a `public_url` in the recipe only the query is taken from the request. Without one the
/// request's URL is signed as given, so the caller must have built it from configuration or from
/// trusted proxy headers, never from a raw `Host`.
pub struct PublicUrl(Option<Box<str>>);

/// A URL in the pieces it is made of.
#[derive(Clone, Copy)]
pub struct Url<'a> {
    pub base: &'a str,
    pub query: Option<&'a str>,
}

impl<'a> Url<'a> {
    /// The pieces to sign, in order.
    pub fn pieces(self) -> [&'a [u8]; 3] {
        match self.query {
            Some(query) => [self.base.as_bytes(), b"?", query.as_bytes()],
            None => [self.base.as_bytes(), b"", b""],
        }
    }
}

impl PublicUrl {
    pub fn parse(url: Option<&str>) -> Result<Self, Error> {
        if let Some(url) = url {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
            let clean = url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            if host.is_empty() || host.contains('@') || !clean || url.len() > 2048 {
                return Err(Error::recipe(
                    "public_url must be an http or https URL of visible ASCII, at most 2048 \
                     characters, without user or fragment",
                ));
            }
        }
        Ok(Self(url.map(Into::into)))
    }

    /// The URL that was signed, if the request came from where it says.
    pub fn of<'a>(&'a self, requested: &'a str) -> Url<'a> {
        let (path, query) = match requested.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (requested, None),
        };
        match &self.0 {
            // A provider that was given a URL with a query signs that query, and it alone.
            Some(base) if base.contains('?') => {
                let (base, query) = base.split_once('?').unwrap_or((base, ""));
                Url { base, query: Some(query) }
            }
            Some(base) => Url { base, query },
            None => Url { base: path, query },
        }
    }
}

/// A URL's base with the scheme's own port added, and with any port removed (Twilio signs either).
pub fn with_and_without_port(base: &str) -> [String; 2] {
    let Some((scheme, rest)) = base.split_once("://") else {
        return [base.to_owned(), base.to_owned()];
    };
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    // The last colon separates a port, unless it stands within an IPv6 literal.
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    let without = format!("{scheme}://{host}{path}");
    if host.len() < authority.len() {
        return [base.to_owned(), without];
    }
    let port = if scheme == "https" { 443 } else { 80 };
    [format!("{scheme}://{host}:{port}{path}"), without]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(public: Option<&str>, requested: &str) -> Result<String, Error> {
        let public = PublicUrl::parse(public)?;
        Ok(String::from_utf8_lossy(&public.of(requested).pieces().concat()).into_owned())
    }

    #[test]
    fn only_the_query_comes_from_the_request() -> Result<(), Error> {
        let public = Some("https://hooks.example/in/abc");
        assert_eq!(whole(public, "/in/abc?a=1")?, "https://hooks.example/in/abc?a=1");
        assert_eq!(whole(public, "http://evil.example/?a=1")?, "https://hooks.example/in/abc?a=1");
        assert_eq!(whole(public, "/in/abc")?, "https://hooks.example/in/abc");
        assert_eq!(whole(Some("https://h/?x=1"), "/?y=2")?, "https://h/?x=1");
        assert_eq!(whole(None, "https://h/p?q")?, "https://h/p?q");
        Ok(())
    }

    #[test]
    fn a_public_url_must_be_one() {
        for bad in [
            "",
            "hooks.example",
            "ftp://h/",
            "https://",
            "https:///p",
            "https://u@h/",
            "https://h/#f",
            "https://h/ ",
        ] {
            assert!(PublicUrl::parse(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_come_and_go() {
        assert_eq!(with_and_without_port("https://h/p"), ["https://h:443/p", "https://h/p"]);
        assert_eq!(with_and_without_port("http://h/p"), ["http://h:80/p", "http://h/p"]);
        assert_eq!(with_and_without_port("https://h:8443/p"), ["https://h:8443/p", "https://h/p"]);
        assert_eq!(with_and_without_port("https://[::1]"), ["https://[::1]:443", "https://[::1]"]);
        assert_eq!(
            with_and_without_port("https://[::1]:8/"),
            ["https://[::1]:8/", "https://[::1]/"]
        );
        assert_eq!(with_and_without_port("/p"), ["/p", "/p"]);
    }
}
