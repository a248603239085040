//! Uploads that end in the middle, because the client goes or the process is killed.

use std::io::Write as _;
use std::net::TcpStream;

use super::imports::until;
use super::{Directory, Service};

const SIZE: usize = 4_000_000;

fn service() -> Service {
    let directory = Directory::new();
    directory.write(
        "portico.toml",
        "listen = \"127.0.0.1:0\"\nadmin = { listen = \"off\" }\n\
         [[backend]]\nname = \"local\"\nkind = \"local\"\noptions = { path = \"./local\" }\n",
    );
    Service::start_in(directory)
}

/// Sends this many of the bytes that are announced.
fn begin(service: &Service, id: &str, sent: usize) -> TcpStream {
    let mut stream = service.connect();
    write!(
        stream,
        "PUT /v2/images/{id}/file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {SIZE}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&vec![1; sent]).unwrap();
    stream
}

/// Waits until some of the data is in a file.
fn in_the_middle(service: &Service) {
    until("data", || {
        let incoming = service.directory.0.path().join("local/incoming");
        let mut lengths = std::fs::read_dir(incoming).unwrap().map(|file| file.unwrap().metadata());
        lengths.any(|file| file.is_ok_and(|file| file.len() > 0)).then_some(())
    });
    assert_eq!(service.files("local/data"), 0);
}

fn status(service: &Service, id: &str) -> String {
    service.shown(&format!("/v2/images/{id}"))["status"].as_str().unwrap().to_owned()
}

fn nothing_is_left(service: &Service, id: &str) {
    until("the end", || (status(service, id) == "queued").then_some(()));
    assert_eq!((service.files("local/incoming"), service.files("local/data")), (0, 0));
}

fn can_be_given_data(service: &Service, id: &str) {
    let head = format!("PUT /v2/images/{id}/file HTTP/1.1\r\nContent-Type: application/octet-stream\r\n");
    assert_eq!(service.ask(&head, &vec![2; SIZE]).0, 204);
    assert_eq!(status(service, id), "active");
    assert_eq!((service.files("local/incoming"), service.files("local/data")), (0, 1));
}

#[test]
fn a_client_that_breaks_off_leaves_its_image_queued_and_nothing_on_the_disk() {
    let service = service();
    let id = service.queued();
    let client = begin(&service, &id, SIZE / 2);
    in_the_middle(&service);
    assert_eq!(status(&service, &id), "saving");
    drop(client);
    nothing_is_left(&service, &id);
    can_be_given_data(&service, &id);
}

#[test]
fn a_process_that_is_killed_in_an_upload_leaves_its_image_queued_and_nothing_on_the_disk() {
    let service = service();
    let id = service.queued();
    let _client = begin(&service, &id, SIZE / 2);
    in_the_middle(&service);
    let service = service.killed_and_started();
    nothing_is_left(&service, &id);
    can_be_given_data(&service, &id);
}
