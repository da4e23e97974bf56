//! `uniqueItems`: whether an array has two elements that are equal.
//!
//! By hash, and with a key that nobody outside knows: whoever could choose what collides would turn
//! this into comparing each element with each.

use super::amount::Amount;
use super::view::View;
use crate::json::tree::Kind;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

/// Steps for hashing one value.
const STEPS: u64 = 8;

/// Whether all elements differ, by JSON's notion of equality.
pub fn is_unique(array: &View<'_>) -> bool {
    let tree = &array.body.tree;
    if tree.len(array.at) < 2 {
        return true;
    }
    let mut hashes = Vec::with_capacity(tree.len(array.at));
    for at in tree.elements(array.at) {
        let Some(hash) = hash(array, at) else {
            return true;
        };
        hashes.push(hash);
    }
    hashes.sort_unstable();
    // Of 128 bits with a secret key: what shares them is the same.
    hashes.windows(2).all(|pair| pair[0] != pair[1])
}

/// A hash of a value; `None` once the work is too much.
fn hash(array: &View<'_>, at: u32) -> Option<u128> {
    static KEYS: OnceLock<(RandomState, RandomState)> = OnceLock::new();
    let (tree, work) = (&array.body.tree, &array.body.work);
    let kind = tree.kind(at);
    if !work.spend(STEPS) {
        return None;
    }
    let keys = KEYS.get_or_init(Default::default);
    let (mut high, mut low) = (keys.0.build_hasher(), keys.1.build_hasher());
    let mut feed = |bytes: &[u8]| {
        high.write(bytes);
        low.write(bytes);
    };
    feed(&[kind as u8]);
    match kind {
        Kind::Null | Kind::True | Kind::False => {}
        Kind::Number => feed(&number(tree.scalar(at))),
        Kind::String => {
            let text = tree.scalar(at);
            if !work.spend_bytes(0, text.len(), 4) {
                return None;
            }
            feed(text.as_bytes());
        }
        Kind::Array => {
            for element in tree.elements(at) {
                feed(&hash(array, element)?.to_le_bytes());
            }
        }
        Kind::Object => {
            // Members come in any order, so their hashes are added up.
            let mut sum = 0_u128;
            work.spend(u64::from(tree.dead(at)));
            for name in tree.names(at) {
                let (name, value) = (hash(array, name)?, hash(array, name + 1)?);
                let mut member = keys.0.build_hasher();
                member.write_u128(name);
                member.write_u128(value);
                let mut other = keys.1.build_hasher();
                other.write_u128(name);
                other.write_u128(value);
                sum = sum.wrapping_add(joined(member.finish(), other.finish()));
            }
            feed(&sum.to_le_bytes());
        }
    }
    Some(joined(high.finish(), low.finish()))
}

const fn joined(high: u64, low: u64) -> u128 {
    ((high as u128) << 64) | low as u128
}

/// Bytes that equal numbers share, however they are written.
fn number(text: &str) -> [u8; 17] {
    let (kind, bits) = match Amount::read(text) {
        Amount::Positive(value) => (0, i128::from(value)),
        Amount::Negative(value) => (0, i128::from(value)),
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^66")]
        Amount::Float(value) if value.fract() == 0.0 && value.abs() < 7e19 => (0, value as i128),
        Amount::Float(value) => (1, i128::from(value.to_bits())),
    };
    let mut bytes = [kind; 17];
    bytes[..16].copy_from_slice(&bits.to_le_bytes());
    bytes
}
