//! What a test logs, line by line.
//!
//! One subscriber for the whole process, set before anything is logged, that writes what a thread logs on the
//! thread's own sheet: a subscriber for each test would race with the others, for whether a line is of interest to
//! anybody is remembered for the process.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use serde_json::Value;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

thread_local! {
    static SHEET: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Whatever a thread writes goes on its sheet, if one is laid there.
#[derive(Clone, Copy)]
struct Pen;

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SHEET.with_borrow_mut(|sheet| sheet.iter_mut().for_each(|sheet| sheet.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Pen {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

/// Sees to it that lines are written on sheets. To be called before the first line can be logged.
pub(crate) fn ready() {
    static READY: Once = Once::new();
    READY.call_once(|| {
        let wanted = dynamic_filter_fn(|_, _| SHEET.with_borrow(Option::is_some));
        tracing_subscriber::registry()
            .with(tracing_subscriber::fmt::layer().json().with_writer(Pen).with_filter(wanted))
            .init();
    });
}

/// A sheet on this thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Sheet(());

/// Lays an empty sheet on this thread. What is to be read on it must run on this thread.
pub(crate) fn lay() -> Sheet {
    SHEET.set(Some(Vec::new()));
    Sheet(())
}

impl Sheet {
    /// All that has been written.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let bytes = SHEET.with_borrow(|sheet| sheet.clone().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        SHEET.set(None);
    }
}
