//! Takes from a process what a script must never have, should one break out of its engine.

/// Leaves this process its memory, the clock, reading descriptor 0 and writing descriptor 1.
/// Whatever else it asks the kernel for ends it, with SIGSYS. For good: there is no way back, nor
/// for its children. A script should have been checked before: what an engine and its clock set up
/// once, they ask more for.
///
/// Returns why that can't be had: only Linux on x86-64, aarch64 and riscv64 has it.
#[cfg(target_os = "linux")]
pub fn confine() -> Result<(), String> {
    linux::confine().map_err(|error| error.to_string())
}

/// Says that this system has nothing of the kind.
#[cfg(not(target_os = "linux"))]
pub fn confine() -> Result<(), String> {
    Err("this system has no seccomp".into())
}

#[cfg(target_os = "linux")]
mod linux {
    use seccompiler::SeccompCmpArgLen::Dword;
    use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
    use seccompiler::{
        BackendError, BpfProgram, Error, SeccompAction, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter_all_threads,
    };
    use std::collections::BTreeMap;
    use std::env::consts::ARCH;

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;

    const PROTECTION: u8 = 2;
    const DESCRIPTOR: u8 = 4;
    const EXECUTABLE: u64 = libc::PROT_EXEC as u64;
    /// Memory that is no file's.
    const NO_FILE: u64 = u32::MAX as u64;

    /// Calls that take nothing which could name anything outside.
    const PLAIN: [i64; 15] = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_gettimeofday,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
    ];

    pub fn confine() -> Result<(), Error> {
        // It sets `no_new_privs` too, without which nobody but root may install one.
        apply_filter_all_threads(&program()?)
    }

    fn program() -> Result<BpfProgram, BackendError> {
        let filter = SeccompFilter::new(
            rules()?,
            SeccompAction::KillProcess,
            SeccompAction::Allow,
            ARCH.try_into()?,
        )?;
        filter.try_into()
    }

    fn rules() -> Result<Rules, BackendError> {
        let mut rules: Rules = PLAIN.iter().map(|&call| (call, Vec::new())).collect();
        rules.insert(libc::SYS_read, only(vec![SeccompCondition::new(0, Dword, Eq, 0)?])?);
        rules.insert(libc::SYS_write, only(vec![SeccompCondition::new(0, Dword, Eq, 1)?])?);
        let inert = || SeccompCondition::new(PROTECTION, Dword, MaskedEq(EXECUTABLE), 0);
        let nobodys = SeccompCondition::new(DESCRIPTOR, Dword, Eq, NO_FILE)?;
        rules.insert(libc::SYS_mmap, only(vec![inert()?, nobodys])?);
        rules.insert(libc::SYS_mprotect, only(vec![inert()?])?);
        Ok(rules)
    }

    fn only(conditions: Vec<SeccompCondition>) -> Result<Vec<SeccompRule>, BackendError> {
        Ok(vec![SeccompRule::new(conditions)?])
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn the_filter_compiles_for_this_machine() {
            assert!(super::program().is_ok_and(|program| program.len() > super::PLAIN.len()));
        }
    }
}
