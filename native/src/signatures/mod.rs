//! Webhook signatures: who sent a request, is it fresh, and which event is it?
//!
//! A [`Source`] verifies what a provider sends and a [`Signer`] signs as that provider would. Both
//! are prepared from a [`Recipe`] and hold everything that does not change from request to request.

mod credentials;
mod facts;
mod handshake;
mod headers;
mod key;
mod layout;
mod message;
mod recipe;
mod scheme;
mod secret;
mod signer;
mod source;
mod timestamp;
mod twilio;
mod url;

pub use headers::{Headers, SLOTS};
pub use recipe::Recipe;
pub use scheme::Scheme;
pub use secret::{generate_key_pair, generate_secret};
pub use signer::Signer;
pub use source::{Accepted, Source};

use std::borrow::Cow;

/// A content type and an answer that a provider's handshake asks for.
pub type Answer = (&'static str, Vec<u8>);

/// What of a request the checks look at.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The request target as received, or a whole URL; its query matters to some schemes.
    pub url: &'a str,
    /// The headers that the source asked for.
    pub headers: &'a Headers<'a>,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The receiver's clock, in seconds since 1970.
    pub now: f64,
}

/// The kinds of refusal, each the name of a problem type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request carries no signature, or lacks a header that is part of one.
    Missing,
    /// The signature is malformed or matches no live secret.
    Invalid,
    /// The signature matches, but not now.
    Tolerance,
    /// The signature matches, but the body is not what it says it is.
    Body,
}

impl Refusal {
    /// The name that callers and problem documents use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "signature-missing",
            Self::Invalid => "signature-invalid",
            Self::Tolerance => "timestamp-outside-tolerance",
            Self::Body => "body-malformed",
        }
    }
}

/// A request that failed a check, and which check. The words never say what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kind.
    pub refusal: Refusal,
    /// Words for the tenant's developer.
    pub detail: Cow<'static, str>,
}

impl Refused {
    fn missing(header: &str) -> Self {
        Self { refusal: Refusal::Missing, detail: format!("the header {header} is missing").into() }
    }

    fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal: Refusal::Invalid, detail: detail.into() }
    }

    fn no_match() -> Self {
        Self::invalid("the signature matches no live secret of this source")
    }
}
