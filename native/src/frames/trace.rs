//! W3C Trace Context, level 1: <https://www.w3.org/TR/trace-context/>.

/// The length of a `traceparent` of version 00.
pub const TRACEPARENT: usize = 55;

const HEX: &[u8; 16] = b"0123456789abcdef";
const DASHES: [usize; 3] = [2, 35, 52];

/// The `traceparent` of the span that takes an event in: in the caller's trace if it named a valid
/// one, else in one of the event's own, which nobody asked to sample.
///
/// Its ids are the event's: as random as they must be, and no second source of randomness to wait
/// for.
pub fn traceparent(incoming: Option<&[u8]>, event_id: &[u8; 16]) -> [u8; TRACEPARENT] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    match incoming.filter(|header| is_valid(header)) {
        Some(header) => {
            text[3..35].copy_from_slice(&header[3..35]);
            text[53..].copy_from_slice(&header[53..TRACEPARENT]);
        }
        None => hex(&mut text[3..35], event_id),
    }
    // The half with the variant in it, so never zero.
    hex(&mut text[36..52], &event_id[8..]);
    text
}

fn hex(target: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in target.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
}

fn is_valid(header: &[u8]) -> bool {
    // Version 00 ends after the flags; later ones may carry more, which is dropped.
    let long_enough = match header.len() {
        TRACEPARENT => true,
        length => length > TRACEPARENT && header[TRACEPARENT] == b'-' && !header.starts_with(b"00"),
    };
    long_enough
        && !header.starts_with(b"ff")
        && header[..TRACEPARENT].iter().enumerate().all(|(place, byte)| {
            if DASHES.contains(&place) { *byte == b'-' } else { HEX.contains(byte) }
        })
        && header[3..35].iter().any(|digit| *digit != b'0')
        && header[36..52].iter().any(|digit| *digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const ID: [u8; 16] = *b"\x01\xa2\x06\x9d\x04\xaap\x12\xa7B\xf8\x04\x93\x16\xdb\x83";

    #[test]
    fn a_valid_trace_goes_on_under_a_new_span() {
        for header in [VALID, b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what"] {
            let ours = traceparent(Some(header), &ID);
            assert_eq!(ours, *b"00-4bf92f3577b34da6a3ce929d0e0e4736-a742f8049316db83-01");
        }
    }

    #[test]
    fn anything_else_starts_a_trace() {
        for header in [
            &b""[..],
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            b"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        ] {
            let ours = traceparent(Some(header), &ID);
            assert!(is_valid(&ours));
            assert_eq!(ours, *b"00-01a2069d04aa7012a742f8049316db83-a742f8049316db83-00");
        }
    }
}
