//! Which request headers travel with an event: what may help its reader, never a credential.

/// At most so many headers are kept.
const MAX_COUNT: usize = 32;
/// At most so many bytes of names and values together.
const MAX_BYTES: usize = 4096;

/// A type, a subtype and a parameter of 127 characters each fit (RFC 6838); what is longer is noise.
const MAX_MEDIA_TYPE: usize = 384;

/// Headers that say something about the connection or about us, not about the event; the content
/// type and the trace have fields of their own.
const DROPPED: [&[u8]; 21] = [
    b"accept",
    b"accept-charset",
    b"accept-encoding",
    b"accept-language",
    b"connection",
    b"content-length",
    b"content-type",
    b"expect",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"te",
    b"trailer",
    b"traceparent",
    b"tracestate",
    b"transfer-encoding",
    b"upgrade",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-real-ip",
];
/// Words in a name that make its value a credential, or what one could be guessed from.
const SECRET: [&[u8]; 10] = [
    b"auth",
    b"cookie",
    b"credential",
    b"hmac",
    b"jwt",
    b"key",
    b"password",
    b"secret",
    b"signature",
    b"token",
];

/// The headers of one request that are kept, in their order.
#[derive(Default)]
pub struct Kept<'a> {
    pairs: Vec<(&'a [u8], &'a [u8])>,
    bytes: usize,
}

impl<'a> Kept<'a> {
    /// Keeps the header unless it is a credential, about the connection, or one too many; the name
    /// is lower-case already, as ASGI has it.
    pub fn offer(&mut self, name: &'a [u8], value: &'a [u8]) {
        let bytes = self.bytes + name.len() + value.len();
        if self.pairs.len() == MAX_COUNT || bytes > MAX_BYTES || !is_kept(name) {
            return;
        }
        self.bytes = bytes;
        self.pairs.push((name, value));
    }

    /// What was kept.
    pub fn pairs(&self) -> &[(&'a [u8], &'a [u8])] {
        &self.pairs
    }
}

/// The content type that is kept: as sent, or nothing where it is too long to be one. It is the one
/// header that goes all the way to receivers, so nobody may fill theirs, or the broker's, with it.
pub fn media_type(value: &[u8]) -> &[u8] {
    if value.len() > MAX_MEDIA_TYPE { b"" } else { value }
}

/// What begins with `crossdock-` is our own word to ourselves, and nobody else's.
fn is_kept(name: &[u8]) -> bool {
    !DROPPED.contains(&name)
        && !name.ends_with(b"-sig")
        && !name.starts_with(b"crossdock-")
        && !SECRET.iter().any(|word| name.windows(word.len()).any(|part| part == *word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_plumbing_are_dropped() {
        let mut kept = Kept::default();
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "stripe-signature",
            "x-api-key",
            "x-shopify-hmac-sha256",
            "x-gitlab-token",
            "x-zm-sig",
            "host",
            "content-length",
            "x-hub-signature-256",
            "x-amz-security-token",
            "crossdock-about",
        ] {
            kept.offer(name.as_bytes(), b"v");
        }
        assert!(kept.pairs().is_empty(), "{:?}", kept.pairs());
        kept.offer(b"x-github-event", b"push");
        kept.offer(b"user-agent", b"GitHub");
        assert_eq!(kept.pairs().len(), 2);
    }

    #[test]
    fn a_media_type_is_whole_or_none() {
        let long = [b'a'; MAX_MEDIA_TYPE + 1];
        assert_eq!(media_type(&long), b"");
        assert_eq!(media_type(&long[1..]), &long[1..]);
    }

    #[test]
    fn count_and_size_are_bounded() {
        let mut kept = Kept::default();
        (0..100).for_each(|_| kept.offer(b"x-label", b"v"));
        assert_eq!(kept.pairs().len(), MAX_COUNT);
        let mut kept = Kept::default();
        let long = [b'v'; 3000];
        (0..3).for_each(|_| kept.offer(b"x-label", &long));
        assert_eq!(kept.pairs().len(), 1);
    }
}
