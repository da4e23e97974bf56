//! The names of the schemes.

use crate::error::Error;

macro_rules! schemes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// How a provider signs its webhooks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scheme { $($(#[$doc])* $variant,)+ }

        impl Scheme {
            /// Every scheme, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name used in recipes.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

schemes! {
    /// Standard Webhooks, v1 (HMAC-SHA256) and v1a (ed25519).
    Standard = "standard",
    /// Stripe.
    Stripe = "stripe",
    /// GitHub, and Meta, which signs alike.
    Github = "github",
    /// Shopify.
    Shopify = "shopify",
    /// Slack.
    Slack = "slack",
    /// Twilio.
    Twilio = "twilio",
    /// Zoom.
    Zoom = "zoom",
    /// Zendesk.
    Zendesk = "zendesk",
    /// Square.
    Square = "square",
    /// Paddle Billing.
    Paddle = "paddle",
    /// Linear.
    Linear = "linear",
    /// Any HMAC over a template.
    Hmac = "hmac",
    /// HTTP Basic (RFC 7617).
    Basic = "basic",
    /// A bearer token (RFC 6750).
    Bearer = "bearer",
    /// No check at all.
    Open = "none",
}

impl Scheme {
    /// The scheme of this name.
    pub fn parse(name: &str) -> Result<Self, Error> {
        Self::ALL.iter().copied().find(|scheme| scheme.name() == name).ok_or(Error::Scheme)
    }
}
