//! `portico metadefs load`: definitions from files, into the catalogue of a service that runs or does not.

use std::fs;

use super::{BACKEND, Directory, Service};

const FILE: &str = r#"{"namespace": "OS::Test", "visibility": "public", "tags": [{"name": "one"}]}"#;

fn directory() -> Directory {
    let directory = Directory::new();
    let settings = "listen = \"127.0.0.1:0\"\nadmin = { listen = \"off\" }\n";
    directory.write("portico.toml", &format!("{settings}{BACKEND}"));
    fs::create_dir(directory.0.path().join("files")).unwrap();
    directory.write("files/test.json", FILE);
    directory
}

fn tags(service: &Service) -> (u16, String) {
    service.ask("GET /v2/metadefs/namespaces/OS::Test/tags HTTP/1.1\r\n", b"")
}

#[test]
fn a_running_service_shows_what_is_loaded_and_keeps_it_for_the_next() {
    let service = Service::start_in(directory());
    assert_eq!(tags(&service).0, 404);
    let loaded = service.directory.run(&["metadefs", "load", "files"]);
    assert_eq!((loaded.status.code(), loaded.stderr.as_slice()), (Some(0), &b""[..]));
    let told = String::from_utf8(loaded.stdout).unwrap();
    assert!(told.contains("1 namespaces, 0 properties, 0 objects, 1 tags, 0 associations"), "{told}");
    let (status, answer) = tags(&service);
    assert!(status == 200 && answer.contains(r#"{"name":"one"}"#), "{answer}");

    let path = "POST /v2/metadefs/namespaces/OS::Test/tags/two HTTP/1.1\r\n";
    assert_eq!(service.ask(path, b"").0, 201);
    let again = service.directory.run(&["metadefs", "load", "files/test.json", "--mode", "overwrite"]);
    assert_eq!(again.status.code(), Some(0));
    assert!(!tags(&service).1.contains("two"));
}

#[test]
fn faults_are_told_by_file_and_the_rest_is_loaded() {
    let directory = directory();
    directory.write("files/bad.json", r#"{"namespace": "x", "foo": 1, "protected": 2}"#);
    let loaded = directory.run(&["metadefs", "load", "files", "absent.json"]);
    assert_eq!(loaded.status.code(), Some(1));
    let (told, faults) =
        (String::from_utf8(loaded.stdout).unwrap(), String::from_utf8(loaded.stderr).unwrap());
    assert!(told.contains("loaded: 1 namespaces"), "{told}");
    assert_eq!(faults.lines().count(), 2, "{faults}");
    assert!(faults.contains("bad.json: protected: must be true or false; foo: is not known"), "{faults}");
    assert!(faults.contains("absent.json: cannot be read"), "{faults}");
}

#[test]
fn without_a_directory_for_state_there_is_nothing_to_load_into() {
    let directory = directory();
    directory.write("portico.toml", &format!("state = {{ directory = \"off\" }}\n{BACKEND}"));
    let refused = directory.run(&["metadefs", "load", "files"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("state.directory is off"));
    assert_eq!(directory.run(&["metadefs", "load"]).status.code(), Some(64));
}
