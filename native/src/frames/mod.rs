//! What goes to NATS and comes back: envelopes, publish frames, acknowledgements.
//!
//! Only what an ingest needs of the protocol is here, and nothing of it waits: bytes in, bytes out.
//! <https://docs.nats.io/reference/reference-protocols/nats-protocol>

mod envelope;
mod kept;
mod message;
mod replies;
mod trace;

pub use envelope::{Envelope, Tail, head};
pub use kept::{Kept, media_type};
pub use message::{Message, batch, plain};
pub use replies::{Replies, Reply};
pub use trace::{TRACEPARENT, traceparent};
