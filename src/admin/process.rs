//! What the system knows about this process.

/// Bytes of memory that it has in use. `None` where there is no `/proc` to tell.
pub(super) fn resident_memory() -> Option<i64> {
    memory_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Reads the resident set size from a `status` file of Linux.
fn memory_in(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes_or_not_at_all() {
        assert_eq!(memory_in("VmHWM:\t  9000 kB\nVmRSS:\t    4096 kB\nRssAnon:\t 1 kB\n"), Some(4096 * 1024));
        for strange in ["", "VmRSS: 7", "VmRSS: x kB", "VmRSS: 9223372036854775807 kB"] {
            assert_eq!(memory_in(strange), None, "{strange}");
        }
    }

    #[test]
    fn this_process_has_some() {
        assert!(resident_memory().unwrap() > 1 << 20);
    }
}
