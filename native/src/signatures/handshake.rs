//! The questions providers ask before they send anything.
//!
//! Answers to unsigned questions echo text of the asker's, so they are bounded, printable, and
//! always `text/plain`.

use super::Answer;
use super::credentials::Fingerprint;
use super::key::Mac;
use super::recipe::Recipe;
use super::scheme::Scheme;
use crate::json::Found;
use crate::text::{form_decode, form_pairs, hex};

const TEXT: &str = "text/plain";
const MAX_ECHO: usize = 1024;

/// What a source answers to questions that carry no signature.
pub struct Handshake {
    verify_token: Option<Fingerprint>,
    echoes: bool,
}

impl Handshake {
    pub fn new(recipe: &Recipe) -> Self {
        let token = recipe.verify_token.as_ref();
        Self {
            verify_token: token.map(|token| Fingerprint::of(token.as_bytes())),
            // Microsoft and Dropbox have no scheme of their own; those that do never ask so.
            echoes: matches!(
                recipe.scheme,
                Scheme::Hmac | Scheme::Basic | Scheme::Bearer | Scheme::Open
            ),
        }
    }

    /// Meta's `hub.challenge`, Dropbox's `challenge`, Microsoft's `validationToken`.
    pub fn answer(&self, method: &str, query: &[u8], body: &[u8]) -> Option<Answer> {
        let get = method == "GET";
        if get && let Some(token) = &self.verify_token {
            let subscribes = value(query, b"hub.mode")? == b"subscribe";
            let known = token.matches(&value(query, b"hub.verify_token")?);
            return (subscribes && known).then(|| echo(query, b"hub.challenge"))?;
        }
        // Microsoft Graph asks by POST; an event of its has a body and is never taken for that.
        if self.echoes && (get || method == "POST") && body.is_empty() {
            let challenge = if get { echo(query, b"challenge") } else { None };
            return challenge.or_else(|| echo(query, b"validationToken"));
        }
        None
    }
}

/// The value of a parameter that is there exactly once.
fn value(query: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut values = form_pairs(query).filter(|(name, _)| *form_decode(name) == *wanted);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(form_decode(value).into_owned()),
        _ => None,
    }
}

fn echo(query: &[u8], wanted: &[u8]) -> Option<Answer> {
    plain(value(query, wanted)?)
}

fn plain(text: Vec<u8>) -> Option<Answer> {
    let printable = text.iter().all(|byte| (0x20..0x7f).contains(byte));
    (printable && (1..=MAX_ECHO).contains(&text.len())).then_some((TEXT, text))
}

/// Questions that come as signed events, by the places of their pointers.
#[derive(Clone, Copy)]
pub enum Question {
    /// The provider asks none.
    Nothing,
    /// Slack's `url_verification`.
    Slack { kind: usize, challenge: usize },
    /// Zoom's `endpoint.url_validation`.
    Zoom { kind: usize, token: usize },
}

impl Question {
    /// The answer, when this event is the question. `mac` is keyed with the secret that signed it.
    pub fn answer(self, found: &Found<'_>, mac: Option<&Mac>) -> Option<Answer> {
        match self {
            Self::Nothing => None,
            Self::Slack { kind, challenge } => {
                (*found.string(kind)? == *b"url_verification").then_some(())?;
                plain(found.string(challenge)?.into_owned())
            }
            Self::Zoom { kind, token } => {
                (*found.string(kind)? == *b"endpoint.url_validation").then_some(())?;
                let token = found.string(token)?;
                // We sign the token with the secret that signs events. Without a colon it can
                // never be an event's `v0:timestamp:body`, nor need it be escaped.
                let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte);
                let token = std::str::from_utf8(&token).ok()?;
                if token.is_empty() || token.len() > 256 || !token.bytes().all(word) {
                    return None;
                }
                let mut mac = mac?.clone();
                mac.update(token.as_bytes());
                let signed = hex(mac.finish().bytes());
                let answer = format!(r#"{{"plainToken":"{token}","encryptedToken":"{signed}"}}"#);
                Some(("application/json", answer.into_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(echoes: bool, token: Option<&str>) -> Handshake {
        Handshake { verify_token: token.map(|t| Fingerprint::of(t.as_bytes())), echoes }
    }

    #[test]
    fn meta_is_answered_when_it_knows_the_token() {
        let source = handshake(false, Some("s3cret"));
        let ask = |query: &str| source.answer("GET", query.as_bytes(), b"");
        let good = "hub.mode=subscribe&hub.verify_token=s3cret&hub.challenge=1158201444";
        assert_eq!(ask(good), Some((TEXT, b"1158201444".to_vec())));
        assert_eq!(ask(&good.replace("s3cret", "s3cre")), None);
        assert_eq!(ask(&good.replace("subscribe", "unsubscribe")), None);
        assert_eq!(ask(&format!("{good}&hub.verify_token=x")), None);
        assert_eq!(source.answer("POST", good.as_bytes(), b""), None);
    }

    #[test]
    fn echoes_are_for_those_who_may_ask_and_printable() {
        let ask = |echoes, method, query: &str, body: &[u8]| {
            handshake(echoes, None).answer(method, query.as_bytes(), body)
        };
        let hello = Some((TEXT, b"a b<".to_vec()));
        assert_eq!(ask(true, "GET", "challenge=a+b%3C", b""), hello);
        assert_eq!(ask(true, "POST", "validationToken=a%20b<", b""), hello);
        assert_eq!(ask(true, "POST", "challenge=a", b""), None);
        assert_eq!(ask(true, "POST", "validationToken=a", b"{}"), None);
        assert_eq!(ask(false, "GET", "challenge=a", b""), None);
        assert_eq!(ask(true, "GET", "challenge=a%0D%0Ab", b""), None);
        assert_eq!(ask(true, "GET", "challenge=", b""), None);
        assert_eq!(ask(true, "GET", &format!("challenge={}", "a".repeat(1025)), b""), None);
        assert_eq!(ask(true, "DELETE", "challenge=a", b""), None);
    }
}
