//! What must hold of the parsers of catalogues whatever a source publishes: for `fuzz/`, and for tests over its corpus.
//!
//! Each function takes the bytes of one document and panics if a promise is broken. Nothing else may call them: they are
//! built only with the feature `fuzzing` or for tests, so that the program has no trace of them.

pub use crate::directory::fuzzing::{check_page, check_sums};
pub use crate::published::fuzzing::check_clearsigned;
pub use crate::simplestreams::fuzzing::check_products;
pub use crate::virt_builder::fuzzing::check_templates;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Checks every file of a target's corpus.
    fn over(target: &str, check: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let mut files = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            check(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files >= 10, "{files} files for {target}");
    }

    #[test]
    fn every_input_of_the_corpus_is_read_as_promised() {
        over("clearsigned", super::check_clearsigned);
        over("listing", super::check_page);
        over("products", super::check_products);
        over("sums", super::check_sums);
        over("templates", super::check_templates);
    }
}
