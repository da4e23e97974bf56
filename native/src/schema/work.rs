//! What holding a body to a schema may cost.
//!
//! A schema's size bounds what it costs for one value, and a body's size how many values there are,
//! but their product is too much. So work is counted as it is done, and once it is too much, the
//! body seems empty, which ends it.

use std::cell::Cell;
use std::hint::black_box;

/// Steps that any body may cost. A step takes 5 to 15 ns.
const STEPS: u64 = 100_000;
/// Steps for each byte of it.
const STEPS_A_BYTE: u64 = 20;
/// More errors than this are not collected.
const MAX_ERRORS: u32 = 10_000;
/// Bytes of the stack that may be used.
const MAX_STACK: usize = 1 << 20;

/// What of a schema makes its work on one value dear, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// For coming to an element or a member.
    pub value: u64,
    /// For coming to a name, and in eighths for each byte of it.
    pub name: (u64, u64),
    /// In eighths, for each byte of a string.
    pub byte: u64,
    /// For reading a number.
    pub number: u64,
}

/// The work that is left.
#[derive(Debug)]
pub struct Work {
    whole: u64,
    left: Cell<u64>,
    errors: Cell<u32>,
    stack: usize,
    /// What the schema costs.
    pub prices: Prices,
}

impl Work {
    /// The allowance of a body of so many bytes.
    pub fn new(bytes: usize, prices: Prices) -> Self {
        let whole = STEPS + STEPS_A_BYTE * bytes as u64;
        Self { whole, left: Cell::new(whole), errors: Cell::new(0), stack: stack(), prices }
    }

    /// Gives the whole allowance once more, for a second pass.
    pub fn renew(&mut self) {
        self.left.set(self.whole);
    }

    /// Spends steps; false once there are none left.
    #[inline]
    pub fn spend(&self, steps: u64) -> bool {
        let left = self.left.get();
        // Once at 0, it stays there.
        let rest = left.saturating_sub(steps);
        self.left.set(rest);
        rest != 0
    }

    /// Spends what passing over so many bytes costs, at a price in eighths.
    #[inline]
    pub fn spend_bytes(&self, steps: u64, bytes: usize, price: u64) -> bool {
        self.spend(steps.saturating_add((bytes as u64).saturating_mul(price) / 8))
    }

    /// Whether there is none left.
    #[inline]
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// Ends the work where it has gone down too far.
    #[inline]
    pub fn check_stack(&self) {
        if self.stack.abs_diff(stack()) > MAX_STACK {
            self.left.set(0);
        }
    }

    /// Counts an error; false once there were too many.
    pub fn count_error(&self) -> bool {
        let errors = self.errors.get() + 1;
        self.errors.set(errors);
        if errors > MAX_ERRORS {
            self.left.set(0);
        }
        !self.is_spent()
    }
}

/// About where the stack ends now.
#[inline]
fn stack() -> usize {
    let here = 0_u8;
    black_box(std::ptr::from_ref(&here)).addr()
}
