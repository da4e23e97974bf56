//! Keys of values that a source has indexed: events are found by them, and nothing can be read off
//! them but what one already knows.

use crate::error::Error;
use crate::json::{Found, Pointer, scan};
use sha2::{Digest, Sha256};

/// At most so many values of an event are indexed.
pub const MAX_FIELDS: usize = 8;
/// Longer values, in bytes, are not indexed.
pub const MAX_VALUE: usize = 256;

/// The first 16 bytes of a SHA-256 over pointer and value.
pub fn field_key(pointer: &str, value: &[u8]) -> [u8; 16] {
    let hash = Sha256::new_with_prefix(b"crossdock:field\0")
        .chain_update(pointer)
        .chain_update(b"\0")
        .chain_update(value)
        .finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    key
}

/// The pointers of one source.
#[derive(Debug)]
pub struct Fields(Vec<Pointer>);

impl Fields {
    /// Reads up to [`MAX_FIELDS`] JSON pointers.
    pub fn new<S: AsRef<str>>(pointers: &[S]) -> Result<Self, Error> {
        if pointers.len() > MAX_FIELDS {
            return Err(Error::Fields);
        }
        let read = |text: &S| {
            // A zero byte ends the pointer where the key is made.
            let clean = Some(text.as_ref()).filter(|text| !text.contains('\0'));
            clean.and_then(Pointer::parse).ok_or(Error::Fields)
        };
        Ok(Self(pointers.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// The keys of the values found in a body, each once; none where it is not JSON.
    pub fn keys(&self, body: &[u8]) -> Vec<[u8; 16]> {
        let mut keys = Vec::new();
        if self.0.is_empty() {
            return keys;
        }
        let Ok(found) = scan(body, &self.0) else {
            return keys;
        };
        for (place, pointer) in self.0.iter().enumerate() {
            let key = value_key(&found, place, pointer);
            keys.extend(key.filter(|key| !keys.contains(key)));
        }
        keys
    }
}

/// The key of a string, a number or a truth value.
fn value_key(found: &Found<'_>, place: usize, pointer: &Pointer) -> Option<[u8; 16]> {
    let raw = found.raw(place)?;
    match raw.first()? {
        b'"' => {
            let text = found.string(place)?;
            (text.len() <= MAX_VALUE).then(|| field_key(pointer.text(), &text))
        }
        b'{' | b'[' | b'n' => None,
        _ => (raw.len() <= MAX_VALUE).then(|| field_key(pointer.text(), raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pointers: &[&str], body: &str) -> Result<Vec<[u8; 16]>, Error> {
        Ok(Fields::new(pointers)?.keys(body.as_bytes()))
    }

    #[test]
    fn scalars_have_keys_and_the_rest_has_none() -> Result<(), Error> {
        let body = r#"{"s":"a\u0062","n":-1.50,"t":true,"z":null,"o":{},"a":[],"l":"\ud800"}"#;
        let found = keys(&["/s", "/n", "/t", "/z", "/o", "/a", "/l", "/none"], body)?;
        let expected =
            [field_key("/s", b"ab"), field_key("/n", b"-1.50"), field_key("/t", b"true")];
        assert_eq!(found, expected);
        Ok(())
    }

    #[test]
    fn long_values_and_what_is_no_json_have_none() -> Result<(), Error> {
        let body = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length));
        assert_eq!(keys(&["/a"], &body(256))?.len(), 1);
        assert!(keys(&["/a"], &body(257))?.is_empty());
        assert!(keys(&["/a"], r#"{"a":1"#)?.is_empty());
        assert!(keys(&[], "{}")?.is_empty());
        Ok(())
    }

    #[test]
    fn a_value_that_two_pointers_reach_alike_is_one_key_each() -> Result<(), Error> {
        assert_eq!(keys(&["/a", "/a"], r#"{"a":1}"#)?.len(), 1);
        assert_eq!(keys(&["/a", "/b"], r#"{"a":1,"b":1}"#)?.len(), 2);
        Ok(())
    }

    #[test]
    fn pointers_are_checked() {
        for pointer in ["", "a", "/~2", "/a\0b"] {
            assert_eq!(Fields::new(&[pointer]).err(), Some(Error::Fields), "{pointer:?}");
        }
        assert!(Fields::new(&["/a"; 9]).is_err());
    }
}
