//! A file that was damaged on the disk, behind the program itself.

use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::{Directory, FREE_PORTS, Service};

const BYTES: usize = 3 << 20;

/// The file of so many bytes below a directory.
fn file_of(directory: &Path, bytes: u64) -> Option<PathBuf> {
    std::fs::read_dir(directory).unwrap().find_map(|entry| {
        let (path, metadata) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
        if metadata.is_dir() { file_of(&path, bytes) } else { (metadata.len() == bytes).then_some(path) }
    })
}

/// What comes of a download behind its head, which promises all.
fn downloaded(service: &Service, id: &str) -> usize {
    let mut data = Vec::new();
    // The end of a broken connection may be a reset.
    let _ = service.begin_download(id).take(BYTES as u64).read_to_end(&mut data);
    data.len()
}

fn service(verify: bool) -> (Service, String) {
    let directory = Directory::new();
    let backend =
        format!("name = \"disk\"\nkind = \"local\"\nverify = {verify}\noptions = {{ path = \"./data\" }}");
    directory.write("portico.toml", &format!("{FREE_PORTS}[[backend]]\n{backend}\n"));
    let service = Service::start_in(directory);
    let id = service.image(BYTES);
    assert_eq!(downloaded(&service, &id), BYTES);
    let file = file_of(&service.directory.0.path().join("data"), BYTES as u64).unwrap();
    // The store may let nobody write to it.
    let damaged = file.with_extension("damaged");
    std::fs::copy(&file, &damaged).unwrap();
    let open = std::fs::OpenOptions::new().write(true).open(&damaged).unwrap();
    open.write_all_at(b"y", 1 << 20).unwrap();
    std::fs::rename(&damaged, &file).unwrap();
    (service, id)
}

#[test]
fn a_damaged_file_is_never_given_out_whole_and_soon_not_at_all() {
    let (service, id) = service(true);
    assert!(downloaded(&service, &id) < BYTES);
    let (status, answer) = service.ask(&format!("GET /v2/images/{id}/file HTTP/1.1\r\n"), b"");
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("in store 'disk' was not what was stored"), "{answer}");
    let counted = "portico_backend_corrupt_downloads_total{backend=\"disk\"} 1\n";
    let (_, text) = service.told("/metrics");
    assert!(text.contains(counted), "{text}");
}

#[test]
fn a_store_that_is_to_be_believed_gives_out_what_it_has() {
    let (service, id) = service(false);
    assert_eq!(downloaded(&service, &id), BYTES);
}
