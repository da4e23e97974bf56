//! What the server says to a publishing connection, cut into lines and acknowledgements.

/// The server's own limit for a control line is 4 KiB; INFO is longer, and bounded by this.
const MAX_LINE: usize = 64 * 1024;
/// Far above any acknowledgement; nothing larger comes to an inbox of ours.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// One thing the server said, unless it was a plain acknowledgement.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// It asks for a PONG.
    Ping,
    /// It answers our PING.
    Pong,
    /// The JSON of an INFO.
    Info(Vec<u8>),
    /// The text of a `-ERR`.
    Err(Vec<u8>),
    /// A reply to our inbox that is not a plain acknowledgement: its token, the status of its
    /// header block (0 where there is none), its payload.
    Other(u64, u16, Vec<u8>),
    /// Something that is not the protocol; the connection is of no more use.
    Garbage,
}

/// Reads a connection chunk by chunk.
#[derive(Default)]
pub struct Replies {
    /// The start of a line or payload whose end has not come yet.
    rest: Vec<u8>,
}

enum Step {
    Acknowledged(u64),
    Said(Option<Reply>),
    NeedMore,
}

impl Replies {
    /// Reads one chunk: tokens of plain acknowledgements go to `acknowledged`, all else to `said`.
    pub fn feed(&mut self, chunk: &[u8], acknowledged: &mut Vec<u64>, said: &mut Vec<Reply>) {
        if self.rest.is_empty() {
            let used = read(chunk, acknowledged, said);
            self.rest.extend_from_slice(&chunk[used..]);
        } else {
            let mut whole = std::mem::take(&mut self.rest);
            whole.extend_from_slice(chunk);
            let used = read(&whole, acknowledged, said);
            whole.drain(..used);
            self.rest = whole;
        }
    }
}

fn read(data: &[u8], acknowledged: &mut Vec<u64>, said: &mut Vec<Reply>) -> usize {
    let mut used = 0;
    while used < data.len() {
        let Some((step, length)) = step(&data[used..]) else {
            said.push(Reply::Garbage);
            return data.len();
        };
        match step {
            Step::Acknowledged(token) => acknowledged.push(token),
            Step::Said(reply) => said.extend(reply),
            Step::NeedMore => break,
        }
        used += length;
    }
    used
}

/// The next thing said and its length; `None` where it is not the protocol.
fn step(data: &[u8]) -> Option<(Step, usize)> {
    let window = &data[..data.len().min(MAX_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return (data.len() < MAX_LINE).then_some((Step::NeedMore, 0));
    };
    let (line, next) = (&data[..end], end + 2);
    let (verb, rest) = match line.iter().position(|byte| *byte == b' ') {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, &line[..0]),
    };
    match verb {
        b"MSG" => message(rest, &data[next..], next, false),
        b"HMSG" => message(rest, &data[next..], next, true),
        b"PING" => Some((Step::Said(Some(Reply::Ping)), next)),
        b"PONG" => Some((Step::Said(Some(Reply::Pong)), next)),
        b"+OK" => Some((Step::Said(None), next)),
        b"INFO" => Some((Step::Said(Some(Reply::Info(rest.to_vec()))), next)),
        b"-ERR" => Some((Step::Said(Some(Reply::Err(rest.to_vec()))), next)),
        _ => None,
    }
}

/// `MSG subject sid size` or `HMSG subject sid header-size size`; nobody replies to a reply.
fn message(line: &[u8], data: &[u8], before: usize, has_headers: bool) -> Option<(Step, usize)> {
    let mut words = line.split(|byte| *byte == b' ');
    let subject = words.next()?;
    words.next()?;
    let head = if has_headers { digits(words.next()?)? } else { 0 };
    let size = digits(words.next()?)?;
    if words.next().is_some() || size > MAX_PAYLOAD as u64 || head > size {
        return None;
    }
    let (head, size) = (usize::try_from(head).ok()?, usize::try_from(size).ok()?);
    if data.len() < size + 2 {
        return Some((Step::NeedMore, 0));
    }
    if data[size..size + 2] != *b"\r\n" {
        return None;
    }
    let token = digits(subject.rsplit(|byte| *byte == b'.').next()?)?;
    let (header, payload) = data[..size].split_at(head);
    let step = if !has_headers && is_plain(payload) {
        Step::Acknowledged(token)
    } else {
        Step::Said(Some(Reply::Other(token, status(header), payload.to_vec())))
    };
    Some((step, before + size + 2))
}

/// Whether a payload is `{"stream":"…","seq":1…}`. An error has its own member, and whatever does not
/// look like this is read again by a whole JSON decoder.
fn is_plain(payload: &[u8]) -> bool {
    let Some(rest) = payload.strip_prefix(br#"{"stream":""#) else {
        return false;
    };
    let Some(end) = rest.iter().position(|byte| *byte == b'"') else {
        return false;
    };
    let rest = &rest[end..];
    let rest = rest.strip_prefix(br#"","seq":"#).or_else(|| rest.strip_prefix(br#"", "seq":"#));
    rest.is_some_and(|rest| {
        rest.first().is_some_and(|digit| (b'1'..=b'9').contains(digit))
            && rest.last() == Some(&b'}')
            && !rest.windows(7).any(|word| word == b"\"error\"")
    })
}

/// The status of `NATS/1.0 503 …`, or 0.
fn status(header: &[u8]) -> u16 {
    header
        .strip_prefix(b"NATS/1.0 ")
        .and_then(|rest| rest.get(..3))
        .and_then(digits)
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or_default()
}

fn digits(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 19 {
        return None;
    }
    word.iter().try_fold(0, |value: u64, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: &str = "MSG _INBOX.a.7 1 29\r\n{\"stream\":\"INGEST\",\"seq\":123}\r\n";

    fn all(text: &[u8], size: usize) -> (Vec<u64>, Vec<Reply>) {
        let (mut replies, mut acknowledged, mut said) =
            (Replies::default(), Vec::new(), Vec::new());
        for chunk in text.chunks(size) {
            replies.feed(chunk, &mut acknowledged, &mut said);
        }
        (acknowledged, said)
    }

    #[test]
    fn a_conversation_reads_the_same_however_it_is_cut() {
        let text = [
            "INFO {\"max_payload\":1}\r\nPING\r\n+OK\r\n",
            ACK,
            "PONG\r\nMSG _INBOX.a.8 1 18\r\n{\"error\":{},\"a\":1}\r\n",
            "MSG _INBOX.a.9 1 46\r\n{\"stream\":\"INGEST\",\"seq\":12,\"duplicate\": true}\r\n",
            "HMSG _INBOX.a.10 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n-ERR 'Stale Connection'\r\n",
        ]
        .concat();
        let whole = all(text.as_bytes(), usize::MAX);
        assert_eq!(whole.0, [7, 9]);
        assert_eq!(
            whole.1,
            [
                Reply::Info(b"{\"max_payload\":1}".to_vec()),
                Reply::Ping,
                Reply::Pong,
                Reply::Other(8, 0, b"{\"error\":{},\"a\":1}".to_vec()),
                Reply::Other(10, 503, Vec::new()),
                Reply::Err(b"'Stale Connection'".to_vec()),
            ]
        );
        for size in 1..40 {
            assert_eq!(all(text.as_bytes(), size), whole, "{size}");
        }
    }

    #[test]
    fn only_a_sequence_is_an_acknowledgement() {
        for payload in [
            r#"{"error":{"code":503},"stream":"S","seq":0}"#,
            r#"{"stream":"S","seq":0}"#,
            r#"{"stream":"S","seq":}"#,
            r#"{"stream":"S","seq":1"#,
            r#"{"stream":"S","seq":1,"error":{}}"#,
            r#"{"seq":1}"#,
            "",
            "+ACK",
        ] {
            assert!(!is_plain(payload.as_bytes()), "{payload}");
        }
        assert!(is_plain(br#"{"stream":"S", "seq":1, "domain":"hub"}"#));
        assert!(is_plain(br#"{"stream":"S","seq":9,"batch":"x","count":2}"#));
    }

    #[test]
    fn what_is_not_the_protocol_is_told_and_not_buffered() {
        let long = "MSG ".to_owned() + &"x".repeat(MAX_LINE);
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "MSG _INBOX.a.b 1 0\r\n\r\n",
            "MSG _INBOX.a.1 1 99999999999\r\n",
            "MSG _INBOX.a.1 1 1\r\nabcd",
            "MSG _INBOX.a.1 1 -1\r\n",
            "HMSG _INBOX.a.1 1 9 1\r\n",
            long.as_str(),
        ] {
            assert_eq!(all(text.as_bytes(), usize::MAX).1, [Reply::Garbage], "{text:.40}");
        }
    }
}
