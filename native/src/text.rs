//! Bytes from outside, made safe to hold, compare and pass on.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use std::borrow::Cow;
use std::fmt::Write;

/// Keys are taken with or without their padding, as the Standard Webhooks libraries take them.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A label of at most `max` visible ASCII characters; all else, and `%` itself, percent-encoded.
///
/// It is cut between characters or escapes, so a label stays decodable.
pub fn label(bytes: &[u8], max: usize) -> String {
    let clean = |byte: &u8| byte.is_ascii_graphic() && *byte != b'%';
    if bytes.len() <= max && bytes.iter().all(clean) {
        return String::from_utf8(bytes.to_vec()).unwrap_or_default();
    }
    let mut text = String::with_capacity(bytes.len().min(max));
    for &byte in bytes {
        let plain = clean(&byte);
        if text.len() + if plain { 1 } else { 3 } > max {
            break;
        }
        if plain {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Undoes `application/x-www-form-urlencoded`; a `%` that starts no escape stands for itself.
pub fn form_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = tail.first_chunk::<2>();
                match pair.and_then(|[high, low]| Some((nibble(*high)? << 4) | nibble(*low)?)) {
                    Some(value) => {
                        rest = &tail[2..];
                        value
                    }
                    None => b'%',
                }
            }
            other => other,
        });
    }
    Cow::Owned(decoded)
}

/// The pairs of a form or a query, still encoded. Empty pairs are left out.
pub fn form_pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        pair.iter()
            .position(|byte| *byte == b'=')
            .map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]))
    })
}

const NOT_HEX: u8 = 0xff;
static LOWER_HEX: [u8; 256] = hex_digits(false);
static ANY_HEX: [u8; 256] = hex_digits(true);

/// The value of each hex digit, and `NOT_HEX` for every other byte.
const fn hex_digits(capitals: bool) -> [u8; 256] {
    let mut table = [NOT_HEX; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        if capitals {
            table[b"0123456789ABCDEF"[value as usize] as usize] = value;
        }
        value += 1;
    }
    table
}

fn nibble(byte: u8) -> Option<u8> {
    Some(ANY_HEX[usize::from(byte)]).filter(|value| *value != NOT_HEX)
}

/// Decodes hex into `out`, whose length it must fill. Capitals only where `capitals` allows them.
pub fn hex_decode(text: &[u8], capitals: bool, out: &mut [u8]) -> bool {
    if text.len() != out.len() * 2 {
        return false;
    }
    let values = if capitals { &ANY_HEX } else { &LOWER_HEX };
    let mut seen = 0;
    for (pair, byte) in text.chunks_exact(2).zip(out) {
        let (high, low) = (values[usize::from(pair[0])], values[usize::from(pair[1])]);
        // A nibble is below 16, so the high bits tell whether all were.
        seen |= high | low;
        *byte = (high << 4) | (low & 0xf);
    }
    seen < 16
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Decodes canonical base64, padding included, into `out`, whose length it must fill.
pub fn base64_decode(text: &[u8], out: &mut [u8]) -> bool {
    // The decoder wants room for a whole last group.
    let mut room = [0; 66];
    if text.len() != out.len().div_ceil(3) * 4 || out.len() > 64 {
        return false;
    }
    match STANDARD.decode_slice(text, &mut room) {
        Ok(length) if length == out.len() => {
            out.copy_from_slice(&room[..length]);
            true
        }
        _ => false,
    }
}

/// Decodes a base64 key, with or without padding.
pub fn base64_key(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok()
}

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Whether a `Content-Type` says JSON: `application/json`, `text/json` or any `+json`.
pub fn says_json(content_type: &[u8]) -> bool {
    let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
    let kind = content_type[..end].trim_ascii();
    let suffix = kind.len().checked_sub(5).map(|at| &kind[at..]);
    kind.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|end| end.eq_ignore_ascii_case(b"+json"))
        || kind.eq_ignore_ascii_case(b"text/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded_visible_and_decodable() {
        assert_eq!(label(b"orders/create", 128), "orders/create");
        assert_eq!(label("a b\n\u{e9}%".as_bytes(), 128), "a%20b%0A%C3%A9%25");
        assert_eq!(label(b"abcd ", 6), "abcd");
        assert_eq!(label(&[0; 1000], 128).len(), 126);
    }

    #[test]
    fn forms_decode_as_browsers_encode_them() {
        assert_eq!(&*form_decode(b"a+b%2B%zz%"), b"a b+%zz%");
        assert_eq!(&*form_decode(b"plain"), b"plain");
        let pairs: Vec<_> = form_pairs(b"&a=1&&b&c==&").collect();
        assert_eq!(pairs, [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"c", b"=")]);
    }

    #[test]
    fn hex_is_strict_about_length_digits_and_case() {
        let mut out = [0; 2];
        assert!(hex_decode(b"0aff", false, &mut out));
        assert_eq!(out, [0x0a, 0xff]);
        assert!(!hex_decode(b"0aFF", false, &mut out));
        assert!(hex_decode(b"0aFF", true, &mut out));
        for bad in [&b"0af"[..], b"0aff0", b"0agf", b"", b"0a f"] {
            assert!(!hex_decode(bad, true, &mut out));
        }
        assert_eq!(hex(&out), "0aff");
    }

    #[test]
    fn base64_is_canonical() {
        let mut out = [0; 2];
        assert!(base64_decode(b"AAE=", &mut out));
        for bad in [&b"AAE"[..], b"AAF=", b"AA-=", b"AAE=\n", b"AAEA", b"A", b""] {
            assert!(!base64_decode(bad, &mut out), "{bad:?}");
        }
        assert_eq!(base64_key("AAE"), base64_key("AAE="));
    }

    #[test]
    fn json_content_types_are_known() {
        for yes in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/x+json",
            "text/json",
        ] {
            assert!(says_json(yes.as_bytes()), "{yes}");
        }
        for no in
            ["", "json", "text/plain", "application/jsonp", "application/x-www-form-urlencoded"]
        {
            assert!(!says_json(no.as_bytes()), "{no}");
        }
    }
}
