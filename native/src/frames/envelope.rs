//! `proto.ingest.IngestedV1`, written as msgspec reads it: a `MessagePack` array, its tag first.
//! <https://github.com/msgpack/msgpack/blob/master/spec.md>

const TAG: &str = "ingested.v1";
/// The tag and ten fields, of which the body is the last.
const FIELDS: usize = 11;
const NIL: u8 = 0xc0;
/// More than all framing, ids and the trace take.
const OVERHEAD: usize = 256;

/// The fields of one accepted webhook, in the order of the Struct.
pub struct Envelope<'a> {
    /// `UUIDv7`.
    pub event_id: [u8; 16],
    /// UUID.
    pub tenant_id: &'a [u8; 16],
    /// UUID.
    pub source_id: &'a [u8; 16],
    /// Empty when the provider names none.
    pub event_type: &'a str,
    /// The dedupe hash, where the source wants one.
    pub dedupe: Option<&'a [u8]>,
    /// The provider's own id.
    pub provider_id: Option<&'a str>,
    /// As sent.
    pub content_type: &'a [u8],
    /// Lower-case names.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// W3C Trace Context.
    pub traceparent: &'a [u8],
}

/// The fields that stand after the body, and only as far as the last that is not empty: without
/// any, a message is what it was before there were such fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// What becomes of the event; empty to deliver it.
    pub status: &'static str,
    /// What its schema said, as JSON.
    pub violation: String,
    /// The version of the schema that it was held to; 0 for none.
    pub schema_version: u32,
    /// The id of the key that sealed its body, 16 bytes; empty for none.
    pub data_key: Vec<u8>,
    /// Hashes of indexed values.
    pub fields: Vec<[u8; 16]>,
    /// The object that holds the body.
    pub claim: String,
}

impl Tail {
    /// How many of the fields are written.
    fn len(&self) -> usize {
        let there = [
            !self.status.is_empty(),
            !self.violation.is_empty(),
            self.schema_version != 0,
            !self.data_key.is_empty(),
            !self.fields.is_empty(),
            !self.claim.is_empty(),
        ];
        there.iter().rposition(|there| *there).map_or(0, |place| place + 1)
    }

    /// What follows the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for place in 0..self.len() {
            match place {
                0 => text(&mut out, self.status.as_bytes()),
                1 => text(&mut out, self.violation.as_bytes()),
                2 => unsigned(&mut out, self.schema_version),
                3 if self.data_key.is_empty() => out.push(NIL),
                3 => binary(&mut out, &self.data_key),
                4 => {
                    array(&mut out, self.fields.len());
                    self.fields.iter().for_each(|key| binary(&mut out, key));
                }
                _ => text(&mut out, self.claim.as_bytes()),
            }
        }
        out
    }
}

impl Envelope<'_> {
    /// The message's payload but for the body, which follows as it is, and the tail after it.
    pub fn encode(&self, tail: &Tail, body_length: usize) -> Vec<u8> {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let mut out = Vec::with_capacity(OVERHEAD + headers + self.content_type.len());
        array(&mut out, FIELDS + tail.len());
        self.write(&mut out);
        binary_head(&mut out, body_length);
        out
    }

    /// The fields before the body alone, for [`head`].
    pub fn fields(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(OVERHEAD);
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        text(out, TAG.as_bytes());
        binary(out, &self.event_id);
        binary(out, self.tenant_id);
        binary(out, self.source_id);
        text(out, self.event_type.as_bytes());
        match self.dedupe {
            Some(hash) => binary(out, hash),
            None => out.push(NIL),
        }
        match self.provider_id {
            Some(id) => text(out, id.as_bytes()),
            None => out.push(NIL),
        }
        latin1(out, self.content_type);
        array(out, self.headers.len());
        for (name, value) in self.headers {
            array(out, 2);
            latin1(out, name);
            latin1(out, value);
        }
        text(out, self.traceparent);
    }
}

/// The payload but for body and tail, of fields that were written before either was known.
pub fn head(fields: &[u8], tail: &Tail, body_length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.len() + 8);
    array(&mut out, FIELDS + tail.len());
    out.extend_from_slice(fields);
    binary_head(&mut out, body_length);
    out
}

/// A header's bytes as text: ISO 8859-1, in which every byte is a character.
fn latin1(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_ascii() {
        text(out, bytes);
    } else {
        let decoded: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        text(out, decoded.as_bytes());
    }
}

fn text(out: &mut Vec<u8>, utf8: &[u8]) {
    match utf8.len() {
        length @ 0..=31 => out.push(0xa0 | narrow::<u8>(length)),
        length @ 32..=0xff => out.extend([0xd9, narrow(length)]),
        length @ 0x100..=0xffff => sized(out, 0xda, &narrow::<u16>(length).to_be_bytes()),
        length => sized(out, 0xdb, &narrow::<u32>(length).to_be_bytes()),
    }
    out.extend_from_slice(utf8);
}

fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    binary_head(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn binary_head(out: &mut Vec<u8>, length: usize) {
    match length {
        length @ 0..=0xff => out.extend([0xc4, narrow(length)]),
        length @ 0x100..=0xffff => sized(out, 0xc5, &narrow::<u16>(length).to_be_bytes()),
        length => sized(out, 0xc6, &narrow::<u32>(length).to_be_bytes()),
    }
}

fn array(out: &mut Vec<u8>, length: usize) {
    if length < 16 {
        out.push(0x90 | narrow::<u8>(length));
    } else {
        sized(out, 0xdc, &narrow::<u16>(length).to_be_bytes());
    }
}

fn unsigned(out: &mut Vec<u8>, value: u32) {
    match value {
        0..=0x7f => out.push(narrow(value as usize)),
        _ => sized(out, 0xce, &value.to_be_bytes()),
    }
}

fn sized(out: &mut Vec<u8>, kind: u8, length: &[u8]) {
    out.push(kind);
    out.extend_from_slice(length);
}

/// A length that its match arm already bounded; a body of 4 GiB is refused long before.
fn narrow<T: TryFrom<usize> + Default>(length: usize) -> T {
    T::try_from(length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_choose_the_shortest_form() {
        for (length, head) in [(0, 0xa0), (31, 0xbf), (32, 0xd9), (256, 0xda), (65_536, 0xdb)] {
            let mut out = Vec::new();
            text(&mut out, &vec![b'x'; length]);
            assert_eq!(out[0], head, "{length}");
        }
        for (length, head) in [(0, 0xc4), (255, 0xc4), (256, 0xc5), (65_536, 0xc6)] {
            let mut out = Vec::new();
            binary(&mut out, &vec![b'x'; length]);
            assert_eq!(out[0], head, "{length}");
        }
        let mut out = Vec::new();
        array(&mut out, 16);
        assert_eq!(out, [0xdc, 0, 16]);
    }

    #[test]
    fn header_bytes_become_valid_text() {
        let mut out = Vec::new();
        latin1(&mut out, b"\xffa");
        assert_eq!(out, [0xa3, 0xc3, 0xbf, b'a']);
    }
}
