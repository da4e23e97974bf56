//! Many at once: what is exact for one must be for all.

use super::usage::{Usage, read};
use super::{Clock, Limit, Size, Table};
use std::error::Error;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::scope;

const THREADS: usize = 4;
const NOW: Clock = Clock::Fixed(1_000_000_000_000);

fn table(slots: usize) -> Result<Table, Box<dyn Error>> {
    Ok(Table::private(Size::new(slots)?, NOW)?)
}

fn limit(subject: usize, quota: u64, burst: u64) -> Result<Limit, Box<dyn Error>> {
    Ok(Limit::new("a", &subject.to_le_bytes(), quota, 1.0, Some(burst), false)?)
}

/// Runs the same in each thread, all beginning at once.
fn together(work: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(THREADS);
    scope(|scope| {
        for thread in 0..THREADS {
            let (work, barrier) = (&work, &barrier);
            scope.spawn(move || {
                barrier.wait();
                work(thread);
            });
        }
    });
}

#[test]
fn who_comes_first_makes_the_slot_and_the_others_find_it() -> Result<(), Box<dyn Error>> {
    const SUBJECTS: usize = 3_000;
    const BURST: u64 = 5;
    let table = table(1 << 14)?;
    let limits =
        (0..SUBJECTS).map(|subject| limit(subject, 1, BURST)).collect::<Result<Vec<_>, _>>()?;
    let admitted: Vec<AtomicU64> = limits.iter().map(|_| AtomicU64::new(0)).collect();
    together(|_| {
        for (limit, admitted) in limits.iter().zip(&admitted) {
            for _ in 0..BURST {
                let taken = table.take(&[limit], 1, NOW).admitted();
                admitted.fetch_add(u64::from(taken), Relaxed);
            }
        }
    });
    assert_eq!(table.stats(NOW).crowded, 0);
    for admitted in admitted {
        assert_eq!(admitted.into_inner(), BURST);
    }
    Ok(())
}

#[test]
fn what_one_limit_refuses_is_given_back_to_the_others() -> Result<(), Box<dyn Error>> {
    for round in 0..20 {
        let table = table(64)?;
        let (wide, narrow) = (limit(round, 1, 100_000)?, limit(round + 1_000, 1, 1_000)?);
        let admitted = AtomicU64::new(0);
        together(|_| {
            for _ in 0..1_000 {
                let taken = table.take(&[&wide, &narrow], 1, NOW).admitted();
                admitted.fetch_add(u64::from(taken), Relaxed);
            }
        });
        let admitted = admitted.into_inner();
        assert_eq!(table.peek(&[&wide], NOW).remaining(), 100_000 - admitted);
        // One may have been refused for what another then gave back, so there may be some left.
        assert_eq!(table.peek(&[&narrow], NOW).remaining(), 1_000 - admitted);
    }
    Ok(())
}

#[test]
fn slots_that_change_hands_all_the_time_forget_nothing() -> Result<(), Box<dyn Error>> {
    const SUBJECTS: usize = 400;
    const TAKES: usize = 100_000;
    const BURST: u64 = 3;
    let table = table(64)?;
    // One each 50 µs: the owner of a slot is idle again soon after.
    let limits = (0..SUBJECTS)
        .map(|subject| limit(subject, 20_000, BURST))
        .collect::<Result<Vec<_>, _>>()?;
    let admitted: Vec<AtomicU64> = limits.iter().map(|_| AtomicU64::new(0)).collect();
    let begun = Clock::Machine.now();
    together(|thread| {
        let mut random = thread as u64 + 1;
        for _ in 0..TAKES {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // A few subjects more often than the others, so that they run out.
            let among = if random & 1 == 0 { 8 } else { SUBJECTS as u64 };
            let subject = usize::try_from((random >> 8) % among).unwrap_or(0);
            let taken = table.take(&[&limits[subject]], 1, Clock::Machine).admitted();
            admitted[subject].fetch_add(u64::from(taken), Relaxed);
        }
    });
    let elapsed = Clock::Machine.now() - begun;
    let most = BURST + elapsed / limits[0].rate.interval;
    let stats = table.stats(Clock::Machine);
    let over: u64 = admitted.into_iter().map(|taken| taken.into_inner().saturating_sub(most)).sum();
    assert!(stats.evicted > 100, "{stats:?}");
    assert!(over <= stats.crowded, "{over} over, {stats:?}");
    Ok(())
}

#[test]
fn drains_and_takes_at_once_lose_no_usage() -> Result<(), Box<dyn Error>> {
    const SLOTS: usize = 64;
    const TAKES: usize = 200_000;
    let table = table(SLOTS)?;
    let limits = (0..4)
        .map(|subject| limit(subject, 1_000_000, 1_000_000))
        .collect::<Result<Vec<_>, _>>()?;
    let (taken, told) = (AtomicU64::new(0), AtomicU64::new(0));
    let all = ((THREADS - 1) * TAKES) as u64;
    let tell = || {
        let mut usage = Usage::default();
        (0..SLOTS).for_each(|place| table.drain_one(place, &mut usage));
        let pairs = read(&usage.into_bytes()).unwrap_or_default();
        told.fetch_add(pairs.iter().map(|(_, charge)| charge).sum(), Relaxed);
    };
    together(|thread| {
        if thread == 0 {
            while taken.load(Relaxed) < all {
                tell();
            }
        } else {
            for limit in limits.iter().cycle().take(TAKES) {
                let admitted = table.take(&[limit], 1, NOW).admitted();
                taken.fetch_add(u64::from(admitted), Relaxed);
            }
        }
    });
    tell();
    assert_eq!(told.into_inner(), all * limits[0].rate.interval);
    Ok(())
}

#[test]
fn who_opens_a_file_at_once_shares_one_table() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("crossdock-limits-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let spent = limit(1, 1, 1)?;
    for round in 0..30 {
        let path = folder.join(round.to_string());
        if round % 2 == 0 {
            std::fs::write(&path, b"garbage")?;
        }
        let admitted = AtomicU64::new(0);
        together(|_| {
            let taken = Size::new(64)
                .ok()
                .and_then(|size| Table::open(&path, b"boot", size, NOW).ok())
                .map_or(99, |table| u64::from(table.take(&[&spent], 1, NOW).admitted()));
            admitted.fetch_add(taken, Relaxed);
        });
        assert_eq!(admitted.into_inner(), 1);
    }
    Ok(std::fs::remove_dir_all(&folder)?)
}
