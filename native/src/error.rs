//! Everything that can be wrong with what a caller hands over.

use thiserror::Error;

/// What a caller can get wrong. A request that fails its check is not an error but a
/// [`crate::signatures::Refused`].
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// A recipe that cannot be prepared. The text says what to mend and holds no secret.
    #[error("{0}")]
    Recipe(String),
    /// A clock reading that no timestamp can be made of.
    #[error("now must be a number of seconds since 1970, between 0 and 253402300799")]
    Clock,
    /// A message id that a header cannot carry.
    #[error("message_id must be 1 to 255 visible ASCII characters")]
    MessageId,
    /// A request that the scheme cannot sign.
    #[error("{0}")]
    Unsignable(String),
    /// A scheme that is not in the table.
    #[error("unknown scheme; it must be one of SCHEMES")]
    Scheme,
    /// A secret was asked for a scheme that has none.
    #[error("the scheme none has no secret")]
    NoSecret,
    /// More than 48 bits of milliseconds.
    #[error("unix_ms must fit 48 bits")]
    Milliseconds,
    /// A `TypeID` prefix outside the specification.
    #[error("a TypeID prefix is 0 to 63 of a-z and _, with no _ at either end")]
    TypeIdPrefix,
    /// A `TypeID` of another kind than the one asked for.
    #[error("not an id of the kind {0:?}")]
    TypeIdKind(String),
    /// A `TypeID` suffix that is not the canonical text of 16 bytes.
    #[error("a TypeID ends in 26 characters of lower-case Crockford base32, the first at most 7")]
    TypeIdSuffix,
    /// A UUID of the wrong length.
    #[error("a UUID is 16 bytes")]
    UuidLength,
    /// A subject that would not stay in its place on the wire.
    #[error("a subject is at most 1,024 bytes with no spaces, control characters or wildcards")]
    Subject,
    /// A header that would not stay in its place on the wire.
    #[error("a header's name has no spaces, controls or colons, its value no line ends")]
    Header,
    /// More headers than the broker stores with a message.
    #[error("the headers of a message are at most 64 KiB together")]
    Headers,
    /// A limit, a table's size, or what is asked of them, is out of range. The text says which.
    #[error("{0}")]
    Limit(&'static str),
    /// Bytes that no drain gave.
    #[error("not the usage of a limit table")]
    Usage,
    /// Indexed fields that are no list of JSON pointers.
    #[error("fields are at most 8 JSON pointers (RFC 6901), none of them empty")]
    Fields,
    /// A set of schemas that contradicts itself.
    #[error("{0}")]
    Schemas(String),
    /// A message that is published before its body was attached.
    #[error("a message taken apart is published once its body is attached")]
    Unattached,
    /// A body beside the claim to one.
    #[error("a message with a claim has no body of its own")]
    Claimed,
    /// A body for a message that has one.
    #[error("this message has its body")]
    Attached,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
}

impl Error {
    /// A recipe error; `message` must not quote a secret.
    pub fn recipe(message: impl Into<String>) -> Self {
        Self::Recipe(message.into())
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn messages_read_as_sentences() {
        assert_eq!(Error::recipe("secrets is empty").to_string(), "secrets is empty");
        assert_eq!(Error::TypeIdKind("evt".into()).to_string(), "not an id of the kind \"evt\"");
    }
}
