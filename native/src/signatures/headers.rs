//! The few headers of a request that a source looks at.

use super::Refused;

/// What a source wants a header for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Signature,
    Timestamp,
    Id,
    /// Twilio's choice of algorithm.
    Settings,
    ContentType,
    EventType,
    /// The provider's own id, where it is not signed.
    Label,
}

/// How many kinds of [`Slot`] there are.
pub const SLOTS: usize = 7;

/// The names of the headers that a source wants, by slot.
#[derive(Default)]
pub struct Names {
    names: [Box<str>; SLOTS],
    /// A bit for each length that a wanted name has: most headers are passed over by it.
    lengths: u64,
}

impl Names {
    pub fn set(&mut self, slot: Slot, name: &str) {
        self.names[slot as usize] = name.into();
        self.lengths |= 1 << (name.len() % 64);
    }

    pub fn get(&self, slot: Slot) -> &str {
        &self.names[slot as usize]
    }

    /// A bit for each slot that this header fills; case does not matter.
    #[inline]
    pub fn slots(&self, name: &[u8]) -> u8 {
        if self.lengths & (1 << (name.len() % 64)) == 0 || name.is_empty() {
            return 0;
        }
        let wanted = self.names.iter().enumerate();
        wanted
            .filter(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name))
            .fold(0, |mask, (slot, _)| mask | 1 << slot)
    }
}

/// The values of the wanted headers.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a> {
    values: [Option<&'a [u8]>; SLOTS],
    repeated: u8,
}

impl<'a> Headers<'a> {
    /// No values yet; `repeated` has a bit for each slot that more than one header fills.
    pub fn new(repeated: u8) -> Self {
        Self { repeated, ..Self::default() }
    }

    /// Adds a header that fills `slots`, as [`super::Source::slots`] told.
    pub fn add(&mut self, slots: u8, value: &'a [u8]) {
        for (slot, place) in self.values.iter_mut().enumerate() {
            if slots & (1 << slot) != 0 {
                *place = Some(value);
            }
        }
    }

    /// The header's first line, where it is only a label.
    pub fn first(&self, slot: Slot) -> Option<&'a [u8]> {
        self.values[slot as usize]
    }

    /// A header that takes part in the check: there once, and not empty.
    ///
    /// Two lines are refused rather than joined: what a proxy before us made of them is anyone's
    /// guess.
    pub fn once(&self, slot: Slot, names: &Names) -> Result<&'a [u8], Refused> {
        let name = names.get(slot);
        if self.repeated & (1 << slot as usize) != 0 {
            return Err(Refused::invalid(format!("the header {name} is there more than once")));
        }
        match self.first(slot) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(Refused::missing(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_fill_several_slots_and_repeats_are_told() {
        let mut names = Names::default();
        names.set(Slot::Id, "webhook-id");
        names.set(Slot::Label, "webhook-id");
        names.set(Slot::Signature, "webhook-signature");
        let slots = names.slots(b"Webhook-Id");
        let mut headers = Headers::new(0);
        headers.add(slots, b"a");
        assert_eq!(headers.first(Slot::Label), Some(&b"a"[..]));
        assert_eq!(headers.once(Slot::Id, &names), Ok(&b"a"[..]));
        let mut headers = Headers::new(slots);
        headers.add(slots, b"a");
        assert_eq!(headers.first(Slot::Label), Some(&b"a"[..]));
        assert!(headers.once(Slot::Id, &names).is_err());
        assert!(headers.once(Slot::Signature, &names).is_err());
        assert_eq!(names.slots(b""), 0);
        assert_eq!(names.slots(b"webhook-ix"), 0);
    }
}
