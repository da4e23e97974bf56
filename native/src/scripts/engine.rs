//! A runtime for one run: bounded, and with nothing in it that reaches out.

use super::{Failure, Kind, Limits};
use rquickjs::context::intrinsic::{Date, Eval, Json, MapSet, Promise, RegExp, RegExpCompiler};
use rquickjs::{Context, Ctx, Runtime};
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Of the C stack: a thread has 8 MiB, or 512 KiB where it is no main thread.
const STACK: usize = 256 * 1024;
/// The engine's own part of the heap: its built-in objects, which are not the script's doing.
const ENGINE: usize = 1024 * 1024;

/// Typed arrays, shared memory, proxies, weak references and a fine clock are left out: a webhook
/// needs none of them, and most holes of engines were in them.
type Parts = (Date, Eval, RegExpCompiler, RegExp, Json, MapSet, Promise);

/// One runtime and what it has used up.
pub struct Engine {
    context: Context,
    is_late: Rc<Cell<bool>>,
}

impl Engine {
    /// Makes one whose time begins now.
    pub fn new(limits: &Limits) -> Result<Self, Failure> {
        let no_room = |_| Failure::new(Kind::Memory, "There is no memory to run scripts.");
        let runtime = Runtime::new().map_err(no_room)?;
        runtime.set_memory_limit(limits.memory.saturating_add(ENGINE));
        runtime.set_max_stack_size(STACK);
        let is_late = Rc::new(Cell::new(false));
        let seen = Rc::clone(&is_late);
        let ends = cpu_time().saturating_add(limits.cpu);
        // Asked every ten thousand steps. Once late it stays so: what runs while the stack is
        // unwound is stopped as well.
        runtime.set_interrupt_handler(Some(Box::new(move || {
            if cpu_time() > ends {
                seen.set(true);
            }
            seen.get()
        })));
        let context = Context::custom::<Parts>(&runtime).map_err(no_room)?;
        Ok(Self { context, is_late })
    }

    /// Does something in it.
    pub fn with<T>(&self, work: impl FnOnce(Ctx<'_>) -> T) -> T {
        self.context.with(work)
    }

    /// Whether its time is up.
    pub fn is_late(&self) -> bool {
        self.is_late.get()
    }
}

/// Of this thread: a run that waits for its turn of the processor is not late.
pub fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}
