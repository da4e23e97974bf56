//! Messages to publish, and the frames that carry them.

use crate::error::Error;

const VERSION: &[u8] = b"NATS/1.0\r\n";
const BATCH_ID: &[u8] = b"Nats-Batch-Id: ";
const BATCH_SEQUENCE: &[u8] = b"\r\nNats-Batch-Sequence: ";
const BATCH_COMMIT: &[u8] = b"\r\nNats-Batch-Commit: 1";
const CRLF: &[u8] = b"\r\n";
/// The bytes of a header's line beside its name and value.
const HEADER_MARKS: usize = b": \r\n".len();
/// More than the control line's words and numbers, and what a batch adds, take.
const OVERHEAD: usize = 192;
/// The broker ends the connection over a control line of more than 4,096 bytes, by default.
const MAX_SUBJECT: usize = 1024;
/// The broker refuses a stream's message with more than 64 KiB of headers, a batch's included. A
/// message that can never be stored must not be mistaken for a broker that is away.
const MAX_HEADERS: usize = 0xffff - VERSION.len() - OVERHEAD - CRLF.len();

/// A message that is ready but for the reply subject it will be published with.
pub struct Message<B> {
    subject: String,
    /// Lines of `Name: value\r\n`.
    headers: Vec<u8>,
    /// What of the payload comes before the body.
    head: Vec<u8>,
    /// Wherever its bytes are: they are copied once, into the frame.
    body: B,
    /// What of the payload comes after the body; most have nothing.
    tail: Vec<u8>,
}

impl<B: AsRef<[u8]>> Message<B> {
    /// A message without headers.
    pub fn new(subject: &str, head: Vec<u8>, body: B) -> Result<Self, Error> {
        let bad = |byte: u8| byte <= b' ' || byte == 0x7f || matches!(byte, b'*' | b'>');
        if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.bytes().any(bad) {
            return Err(Error::Subject);
        }
        let headers = Vec::with_capacity(64);
        Ok(Self { subject: subject.to_owned(), headers, head, body, tail: Vec::new() })
    }

    /// Puts the rest of the payload after the body.
    pub fn tail(&mut self, tail: Vec<u8>) {
        self.tail = tail;
    }

    /// Adds a header.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let broken = |byte: u8| matches!(byte, b'\r' | b'\n' | 0);
        let nameless = name.is_empty() || name.bytes().any(|byte| byte <= b' ' || byte == b':');
        if nameless || value.bytes().any(broken) {
            return Err(Error::Header);
        }
        if self.headers.len() + name.len() + value.len() + HEADER_MARKS > MAX_HEADERS {
            return Err(Error::Headers);
        }
        for part in [name.as_bytes(), b": ", value.as_bytes(), CRLF] {
            self.headers.extend_from_slice(part);
        }
        Ok(())
    }

    /// About the bytes that a frame of it takes.
    pub fn size(&self) -> usize {
        OVERHEAD + self.subject.len() + self.headers.len() + self.payload_length()
    }

    fn payload_length(&self) -> usize {
        self.head.len() + self.body.as_ref().len() + self.tail.len()
    }

    fn frame(&self, out: &mut Vec<u8>, reply: Option<(&[u8], u64)>, extra: &[u8]) {
        out.extend_from_slice(b"HPUB ");
        out.extend_from_slice(self.subject.as_bytes());
        if let Some((inbox, token)) = reply {
            out.push(b' ');
            out.extend_from_slice(inbox);
            number(out, token);
        }
        let head = VERSION.len() + self.headers.len() + extra.len() + CRLF.len();
        out.push(b' ');
        number(out, head as u64);
        out.push(b' ');
        number(out, (head + self.payload_length()) as u64);
        let body = self.body.as_ref();
        for part in [CRLF, VERSION, &self.headers, extra, CRLF, &self.head, body, &self.tail, CRLF]
        {
            out.extend_from_slice(part);
        }
    }
}

/// Frames that publish each message on its own; the replies come to `inbox` + `first`, `first` + 1…
pub fn plain<'a, B: AsRef<[u8]> + 'a>(
    messages: impl Iterator<Item = &'a Message<B>>,
    inbox: &[u8],
    first: u64,
) -> Vec<u8> {
    let (messages, mut out) = sized(messages);
    for (token, message) in (first..).zip(messages) {
        message.frame(&mut out, Some((inbox, token)), &[]);
    }
    out
}

/// Frames that publish the messages as one atomic batch, all of them or none; the one reply comes
/// to `inbox` + `token`. See ADR-50 of the NATS architecture repository.
pub fn batch<'a, B: AsRef<[u8]> + 'a>(
    messages: impl Iterator<Item = &'a Message<B>>,
    inbox: &[u8],
    token: u64,
    batch_id: &str,
) -> Vec<u8> {
    let (messages, mut out) = sized(messages);
    let mut extra = Vec::with_capacity(OVERHEAD);
    let last = messages.len();
    for (place, message) in (1..).zip(messages) {
        extra.clear();
        extra.extend_from_slice(BATCH_ID);
        extra.extend_from_slice(batch_id.as_bytes());
        extra.extend_from_slice(BATCH_SEQUENCE);
        number(&mut extra, place as u64);
        if place == last {
            extra.extend_from_slice(BATCH_COMMIT);
        }
        extra.extend_from_slice(CRLF);
        let reply = (place == last).then_some((inbox, token));
        message.frame(&mut out, reply, &extra);
    }
    out
}

fn sized<'a, B: AsRef<[u8]> + 'a>(
    messages: impl Iterator<Item = &'a Message<B>>,
) -> (Vec<&'a Message<B>>, Vec<u8>) {
    let messages: Vec<_> = messages.collect();
    let size = messages.iter().map(|message| message.size()).sum();
    (messages, Vec::with_capacity(size))
}

/// Decimal digits, without going through `fmt`: five of them are written for every message.
fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789"[(value % 10) as usize];
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> Result<Message<&[u8]>, Error> {
        let mut message = Message::new("ingest.0", Vec::new(), body)?;
        message.header("Nats-Msg-Id", "evt_1")?;
        Ok(message)
    }

    #[test]
    fn plain_frames_carry_their_lengths_and_tokens() -> Result<(), Error> {
        let pair = [message(b"a")?, message(b"bc")?];
        let text = plain(pair.iter(), b"_INBOX.x.", 9);
        let expected = "HPUB ingest.0 _INBOX.x.9 32 33\r\nNATS/1.0\r\nNats-Msg-Id: evt_1\r\n\r\na\r\n\
                        HPUB ingest.0 _INBOX.x.10 32 34\r\nNATS/1.0\r\nNats-Msg-Id: evt_1\r\n\r\nbc\r\n";
        assert_eq!(String::from_utf8_lossy(&text), expected);
        Ok(())
    }

    #[test]
    fn a_batch_is_numbered_and_its_last_message_commits_and_asks_for_the_reply() -> Result<(), Error>
    {
        let pair = [message(b"a")?, message(b"")?];
        let text = batch(pair.iter(), b"_INBOX.x.", 7, "b1");
        let expected = "HPUB ingest.0 75 76\r\nNATS/1.0\r\nNats-Msg-Id: evt_1\r\nNats-Batch-Id: b1\r\n\
                        Nats-Batch-Sequence: 1\r\n\r\na\r\n\
                        HPUB ingest.0 _INBOX.x.7 97 97\r\nNATS/1.0\r\nNats-Msg-Id: evt_1\r\n\
                        Nats-Batch-Id: b1\r\nNats-Batch-Sequence: 2\r\nNats-Batch-Commit: 1\r\n\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&text), expected);
        Ok(())
    }

    #[test]
    fn nothing_can_break_out_of_its_place() -> Result<(), Error> {
        for subject in ["", "a b", "a\r\nPUB x 0", "a.*", "a.>", "\0"] {
            assert!(Message::new(subject, Vec::new(), b"").is_err(), "{subject:?}");
        }
        let mut message = message(b"")?;
        for (name, value) in [("a", "x\r\ny: z"), ("a", "\0"), ("a:b", ""), ("", ""), ("a b", "")] {
            assert!(message.header(name, value).is_err(), "{name:?}: {value:?}");
        }
        Ok(())
    }

    #[test]
    fn what_no_broker_takes_is_no_message() -> Result<(), Error> {
        assert!(Message::new(&"s".repeat(1024), Vec::new(), b"").is_ok());
        assert_eq!(Message::new(&"s".repeat(1025), Vec::new(), b"").err(), Some(Error::Subject));
        let mut message = message(b"")?;
        message.header("a", &"v".repeat(60_000))?;
        assert_eq!(message.header("b", &"v".repeat(6_000)), Err(Error::Headers));
        message.header("b", "v")
    }

    #[test]
    fn numbers_are_decimal() {
        for value in [0, 7, 10, 4096, u64::MAX] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}
