//! Take-overs one step at a time, as if processes slept or ended between them.

use super::*;
use std::error::Error;

const HASH: u64 = 0x1234;
const OTHER: u64 = HASH + (1 << 20);
const NOW: u64 = 10_000;
const TAKE: fn(u64, u64) -> Option<u64> = |arrival, now| Some(arrival.max(now) + 10);

fn sixty_four() -> Result<(Memory, Size), Box<dyn Error>> {
    let size = Size::new(64)?;
    Ok((Memory::private(size.words())?, size))
}

fn take(slots: Slots<'_>, hash: u64, now: u64) -> Option<usize> {
    match slots.advance(hash, Clock::Fixed(now), now, TAKE) {
        Advanced::To { place, .. } => Some(place & 63),
        _ => None,
    }
}

#[test]
fn a_subject_keeps_its_slot_while_its_units_are_away() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    let home = take(slots, HASH, NOW);
    assert!(home.is_some());
    assert_ne!(take(slots, OTHER, NOW + 10), home, "in use until then");
    assert_eq!(take(slots, HASH, NOW + 10), home);
    assert_eq!(slots.arrival(HASH), NOW + 20);
    assert_eq!(take(slots, OTHER + (1 << 20), NOW + 21), home);
    assert_eq!(slots.arrival(HASH), 0);
    assert_eq!(slots.header().evicted().load(Relaxed), 1);
    Ok(())
}

#[test]
fn when_all_within_reach_are_in_use_there_is_no_slot() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    for subject in 0..WINDOW as u64 {
        assert!(take(slots, HASH + (subject << 20), NOW).is_some());
    }
    assert_eq!(take(slots, HASH + (99 << 20), NOW + 10), None);
    assert!(take(slots, HASH + (99 << 20), NOW + 11).is_some());
    Ok(())
}

#[test]
fn usage_that_waits_for_a_drain_keeps_its_slot() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    slots.header().drained().store(NOW, Relaxed);
    let home = take(slots, HASH, NOW);
    slots.at(home.unwrap_or(0)).usage.store(1, Relaxed);
    assert_ne!(take(slots, OTHER, NOW + 1_000), home);
    assert_eq!(take(slots, OTHER + (1 << 20), NOW + KEPT_FOR_DRAIN), home, "nobody drains");
    assert_eq!(slots.at(home.unwrap_or(0)).usage.load(Relaxed), 0);
    Ok(())
}

#[test]
fn a_process_that_ends_in_a_take_over_keeps_nobody_out() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    let home = take(slots, HASH, NOW).unwrap_or(0);
    let slot = slots.at(home);
    for written in [HASH, OTHER] {
        slot.arrival.store(MOVING | (NOW + 100), SeqCst);
        slot.owner.store(written << UNDONE_BITS, SeqCst);
        assert!(take(slots, HASH, NOW + 101).is_some(), "at once, there or elsewhere");
        assert!(take(slots, OTHER, NOW + 101).is_some());
    }
    // Whose slot it would have become, or had been, never comes again.
    slot.arrival.store(MOVING | (NOW + 100), SeqCst);
    slot.owner.store(99 << UNDONE_BITS, SeqCst);
    let later = NOW + 100 + ABANDONED;
    for subject in 2..100 {
        let _ = take(slots, HASH + (subject << 20), later + subject);
    }
    assert_eq!(slot.arrival.load(SeqCst) & MOVING, 0);
    Ok(())
}

/// A slot of `HASH`, and a take-over of it for `OTHER` that somebody has begun.
fn begun(slots: Slots<'_>) -> Option<TakeOver> {
    let home = take(slots, HASH, NOW)?;
    slots.begin(home, NOW + 10, NOW + 100)
}

#[test]
fn whoever_sleeps_before_signing_never_signs() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    let asleep = begun(slots).ok_or("not begun")?;
    // The others lose patience, and the former owner comes back to the very same slot.
    slots.release(asleep.place, asleep.moving, NOW + 200);
    assert_eq!(take(slots, HASH, NOW + 201), Some(asleep.place));
    assert!(!slots.sign(asleep, OTHER));
    assert!(!slots.finish(asleep, NOW + 300));
    slots.release(asleep.place, asleep.moving, NOW + 300);
    assert_eq!(slots.arrival(HASH), NOW + 211);
    Ok(())
}

#[test]
fn whoever_sleeps_before_signing_a_free_slot_never_signs() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    let asleep = slots.begin(0, 0, NOW).ok_or("not begun")?;
    slots.release(0, asleep.moving, NOW + 100);
    assert!(!slots.sign(asleep, OTHER));
    assert_eq!(owner(slots.at(0)), 0);
    Ok(())
}

#[test]
fn whoever_sleeps_after_signing_never_finishes() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    let asleep = begun(slots).ok_or("not begun")?;
    assert!(slots.sign(asleep, OTHER));
    let seized = slots.seize(asleep.place, asleep.moving).ok_or("not seized")?;
    assert!(!slots.finish(asleep, NOW + 150), "it is being undone");
    slots.clear(asleep.place, seized, NOW + 200);
    assert_eq!(slots.arrival(OTHER), 0);
    assert_eq!(take(slots, HASH, NOW + 201), Some(asleep.place));
    assert!(!slots.finish(asleep, NOW + 300));
    assert_eq!(slots.arrival(HASH), NOW + 211);
    Ok(())
}

#[test]
fn whoever_sleeps_while_undoing_undoes_no_more() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    let begun = begun(slots).ok_or("not begun")?;
    let asleep = slots.seize(begun.place, begun.moving).ok_or("not seized")?;
    slots.release(begun.place, asleep, NOW + 200);
    assert_eq!(take(slots, HASH, NOW + 201), Some(begun.place));
    slots.clear(begun.place, asleep, NOW + 300);
    assert_eq!(slots.arrival(HASH), NOW + 211);
    Ok(())
}

#[test]
fn nothing_is_counted_in_a_slot_that_changed_hands() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    let asleep = begun(slots).ok_or("not begun")?;
    let place = asleep.place;
    assert_eq!(slots.swap(place, HASH, NOW + 150, &TAKE), None);
    assert!(slots.sign(asleep, OTHER) && slots.finish(asleep, NOW + 100));
    assert_eq!(slots.swap(place, HASH, NOW + 150, &TAKE), None);
    assert_eq!(slots.arrival(OTHER), NOW + 100);
    Ok(())
}

#[test]
fn a_new_slot_begins_when_it_is_made() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    slots.advance(HASH, Clock::Fixed(NOW + 100), NOW, TAKE);
    assert_eq!(slots.arrival(HASH), NOW + 110);
    Ok(())
}

#[test]
fn a_slot_is_not_made_beside_another_of_the_same_subject() -> Result<(), Box<dyn Error>> {
    let (memory, size) = sixty_four()?;
    let slots = Slots::new(&memory, size);
    let home = take(slots, HASH, NOW).unwrap_or(0);
    for (place, there) in [(home + 1, NOW + 10), (home + 1, MOVING | 7)] {
        slots.at(home).arrival.store(there, SeqCst);
        let before = slots.at(place).arrival.load(SeqCst);
        assert!(!slots.take_over(place, before, HASH, NOW + 20));
        assert_eq!(owner(slots.at(place)), 0);
    }
    // One further on that is only being made gives way, or is made to.
    let (first, second) = (home, home + 1);
    slots.release(first, MOVING | 7, NOW + 20);
    slots.at(second).owner.store(HASH << UNDONE_BITS, SeqCst);
    slots.at(second).arrival.store(MOVING | (NOW + 20), SeqCst);
    assert_eq!(take(slots, HASH, NOW + 30), Some(first));
    assert_eq!(owner(slots.at(second)), 0);
    Ok(())
}
