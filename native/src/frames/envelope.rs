//! `proto.ingest.IngestedV1`, written as msgspec reads it: a `MessagePack` array, its tag first.
//! <https://github.com/msgpack/msgpack/blob/master/spec.md>

const TAG: &str = "ingested.v1";
/// The tag and ten fields.
const ARRAY_OF_11: u8 = 0x9b;
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
    /// How many bytes the body has.
    pub body_length: usize,
}

impl Envelope<'_> {
    /// The message's payload but for the body, which is its last field and follows as it is.
    pub fn encode(&self) -> Vec<u8> {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let mut out = Vec::with_capacity(OVERHEAD + headers + self.content_type.len());
        out.push(ARRAY_OF_11);
        text(&mut out, TAG.as_bytes());
        binary(&mut out, &self.event_id);
        binary(&mut out, self.tenant_id);
        binary(&mut out, self.source_id);
        text(&mut out, self.event_type.as_bytes());
        match self.dedupe {
            Some(hash) => binary(&mut out, hash),
            None => out.push(NIL),
        }
        match self.provider_id {
            Some(id) => text(&mut out, id.as_bytes()),
            None => out.push(NIL),
        }
        latin1(&mut out, self.content_type);
        array(&mut out, self.headers.len());
        for (name, value) in self.headers {
            array(&mut out, 2);
            latin1(&mut out, name);
            latin1(&mut out, value);
        }
        text(&mut out, self.traceparent);
        binary_head(&mut out, self.body_length);
        out
    }
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
