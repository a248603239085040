//! The program itself, as an operator runs it: exit codes, faults, signals.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

#[path = "tls/authority.rs"]
mod authority;
#[path = "serve/cache.rs"]
mod cache;
#[path = "serve/damaged.rs"]
mod damaged;
#[path = "serve/imports.rs"]
mod imports;
#[path = "serve/killed.rs"]
mod killed;
#[path = "serve/metadefs.rs"]
mod metadefs;
#[path = "serve/tls.rs"]
mod tls;
#[path = "serve/uploads.rs"]
mod uploads;
#[path = "serve/watch.rs"]
mod watch;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

const FREE_PORTS: &str = "listen = \"127.0.0.1:0\"\nadmin = { listen = \"127.0.0.1:0\" }\n";

const BACKEND: &str = "[[backend]]\nname = \"scratch\"\nkind = \"memory\"\n";

fn portico() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    command.env_remove("RUST_LOG");
    command
}

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn run(&self, arguments: &[&str]) -> Output {
        portico().args(arguments).current_dir(self.0.path()).output().unwrap()
    }
}

/// A running service, which does not outlive the test.
struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
    /// Where its health is told, if anywhere.
    admin: Option<SocketAddr>,
    directory: Directory,
}

/// The address in a line of the log.
fn address_in(line: &str) -> SocketAddr {
    let rest = line.split("://").nth(1).unwrap();
    rest.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').next().unwrap().parse().unwrap()
}

impl Service {
    /// Starts a service on free ports and waits until it says that it is ready.
    fn start(settings: &str) -> Self {
        Self::start_as(&format!("admin = {{ listen = \"127.0.0.1:0\" }}\n{settings}"))
    }

    /// The same with all settings given, save the port for clients.
    fn start_as(settings: &str) -> Self {
        let directory = Directory::new();
        directory.write("portico.toml", &format!("listen = \"127.0.0.1:0\"\n{settings}\n{BACKEND}"));
        Self::start_in(directory)
    }

    fn start_in(directory: Directory) -> Self {
        Self::start_until(directory, "listening on http://")
    }

    /// Starts a service by the configuration in the directory, and waits until it says so.
    fn start_until(directory: Directory, ready: &str) -> Self {
        let mut child = portico()
            .current_dir(directory.0.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut service = Self { child, log, address: nowhere, admin: None, directory };
        let lines = service.up_to(ready);
        service.address = address_in(lines.last().unwrap());
        service.admin =
            lines.iter().find(|line| line.contains("health and metrics are on")).map(|line| address_in(line));
        service
    }

    /// Reads the log up to the line that has `text` in it, and gives that line.
    fn until(&mut self, text: &str) -> String {
        self.up_to(text).pop().unwrap()
    }

    /// Reads the log up to the line that has `text` in it.
    fn up_to(&mut self, text: &str) -> Vec<String> {
        let mut read = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.log.read_line(&mut line).unwrap(),
                0,
                "the log ended without '{text}':\n{read:#?}"
            );
            let found = line.contains(text);
            read.push(line);
            if found {
                return read;
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    fn ask(&self, head: &str, body: &[u8]) -> (u16, String) {
        ask(self.connect(), head, body)
    }

    /// What the other listener tells: status and body.
    fn told(&self, path: &str) -> (u16, String) {
        let head = format!("GET {path} HTTP/1.1\r\n");
        let (status, answer) = ask(connect(self.admin.unwrap()), &head, b"");
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// An image of so many bytes, by its id.
    fn image(&self, bytes: usize) -> String {
        let record = br#"{"name": "a", "disk_format": "raw", "container_format": "bare"}"#;
        let (status, answer) =
            self.ask("POST /v2/images HTTP/1.1\r\nContent-Type: application/json\r\n", record);
        assert_eq!(status, 201, "{answer}");
        let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let id = body["id"].as_str().unwrap().to_owned();
        let head = format!("PUT /v2/images/{id}/file HTTP/1.1\r\nContent-Type: application/octet-stream\r\n");
        let (status, answer) = self.ask(&head, &vec![b'x'; bytes]);
        assert_eq!(status, 204, "{answer}");
        id
    }

    /// Begins a download and reads no more of it than its head.
    fn begin_download(&self, id: &str) -> TcpStream {
        let mut stream = self.connect();
        write!(stream, "GET /v2/images/{id}/file HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
        stream
    }

    fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(mut stream: TcpStream, head: &str, body: &[u8]) -> (u16, String) {
    let length = body.len();
    write!(stream, "{head}Host: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer[9..12].parse().unwrap(), answer)
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// More than all buffers on the way hold.
const LARGE: usize = 32 * 1024 * 1024;

#[test]
fn requests_are_answered_while_the_log_cannot_be_written() {
    let directory = Directory::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    directory.write(
        "portico.toml",
        &format!("listen = \"127.0.0.1:{port}\"\nadmin = {{ listen = \"off\" }}\n{BACKEND}"),
    );
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child =
        portico().current_dir(directory.0.path()).stdout(Stdio::null()).stderr(full).spawn().unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(_) if std::time::Instant::now() < end => std::thread::yield_now(),
            Err(error) => panic!("nobody listens: {error}"),
        }
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /v2/images HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    assert_eq!(child.try_wait().unwrap(), None, "somebody else has the port");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(read.is_ok() && answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_slow_download_goes_on_to_its_end_after_sigterm_and_new_clients_are_refused() {
    let mut service = Service::start("");
    let id = service.image(LARGE);
    let mut download = service.begin_download(&id);
    service.signal("TERM");
    service.until("draining");
    let refused = (0..1000).any(|_| TcpStream::connect(service.address).is_err());
    assert!(refused, "the listener must close at once");
    let mut data = Vec::new();
    download.read_to_end(&mut data).unwrap();
    assert_eq!(data.len(), LARGE);
    assert!(data.iter().all(|byte| *byte == b'x'));
    assert_eq!(service.ended().code(), Some(0));
}

#[test]
fn a_second_signal_cuts_what_is_under_way() {
    let mut service = Service::start("");
    let id = service.image(LARGE);
    let mut download = service.begin_download(&id);
    service.signal("TERM");
    service.until("draining");
    service.signal("INT");
    let mut data = Vec::new();
    // The end of a cut connection may be a reset.
    let _ = download.read_to_end(&mut data);
    assert!(data.len() < LARGE);
    assert_eq!(service.ended().code(), Some(1));
}

#[test]
fn a_transfer_that_outlasts_the_drain_is_cut() {
    let mut service = Service::start("[limits]\ndrain = \"100ms\"\n");
    let id = service.image(LARGE);
    let _download = service.begin_download(&id);
    service.signal("INT");
    service.until("ended before all requests were done");
    assert_eq!(service.ended().code(), Some(1));
}

#[test]
fn a_client_that_sends_its_head_too_slowly_is_cut() {
    let service = Service::start("[limits]\nhead_timeout = \"100ms\"\n");
    let mut slow = service.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nHost").unwrap();
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn an_upload_that_stands_still_is_cut_and_leaves_nothing() {
    let service = Service::start("[limits]\nidle = \"1s\"\n");
    let record = br#"{"id": "deb1c5a2-7f36-4c1d-9d0c-0a4a3f6ac1de", "disk_format": "raw", "container_format": "bare"}"#;
    assert_eq!(service.ask("POST /v2/images HTTP/1.1\r\nContent-Type: application/json\r\n", record).0, 201);
    let mut stalled = service.connect();
    stalled
        .write_all(
            b"PUT /v2/images/deb1c5a2-7f36-4c1d-9d0c-0a4a3f6ac1de/file HTTP/1.1\r\nHost: a\r\n\
              Content-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nhalf",
        )
        .unwrap();
    let mut answer = Vec::new();
    stalled.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let list = "GET /v2/images/deb1c5a2-7f36-4c1d-9d0c-0a4a3f6ac1de HTTP/1.1\r\n";
    let (_, record) = service.ask(list, b"");
    assert!(record.contains("\"queued\""), "{record}");
}

#[test]
fn a_backend_is_held_to_its_ceiling_and_its_names_of_projects() {
    let directory = Directory::new();
    let tenancy = "tenancy = { ceiling = \"community\", projects = { ours = \"theirs\" } }";
    directory.write("portico.toml", &format!("{FREE_PORTS}{BACKEND}{tenancy}\n"));
    let service = Service::start_in(directory);
    let make = |record: &str| {
        service.ask("POST /v2/images HTTP/1.1\r\nContent-Type: application/json\r\n", record.as_bytes())
    };
    let (status, answer) = make(r#"{"name": "a", "visibility": "public"}"#);
    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains("wider than community"), "{answer}");
    let (status, answer) = make(r#"{"name": "a", "visibility": "community", "owner": "ours"}"#);
    assert_eq!(status, 201, "{answer}");
    assert!(answer.contains(r#""owner":"ours""#), "{answer}");
    let (status, answer) = make(r#"{"name": "a", "owner": "theirs"}"#);
    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains("project 'theirs' is not known in store 'scratch'"), "{answer}");
}

#[test]
fn the_front_answers_and_says_who_may_come_in() {
    let directory = Directory::new();
    let made = directory.run(&["token", "--user", "alice", "--project", "demo"]);
    assert!(made.status.success());
    let token = String::from_utf8(made.stderr).unwrap().trim().to_owned();
    let entry = String::from_utf8(made.stdout).unwrap();
    assert!(!entry.contains(&token));
    directory.write("tokens.toml", &entry);
    directory.write(
        "portico.toml",
        &format!("{FREE_PORTS}auth = {{ kind = \"tokens\" }}\nlog = {{ format = \"json\" }}\n{BACKEND}"),
    );
    let file = directory.0.path().join("tokens.toml");
    let mut service = Service::start_in(directory);
    let list = format!("GET /v2/images HTTP/1.1\r\nX-Auth-Token: {token}\r\n");
    assert_eq!(service.ask(&list, b"").0, 200);
    let (status, answer) = service.ask("GET /v2/images HTTP/1.1\r\n", b"");
    assert_eq!(status, 401);
    assert!(answer.to_lowercase().contains("www-authenticate: token"), "{answer}");

    // A file with faults changes nothing; a good one counts.
    std::fs::write(&file, "[[token]]\n").unwrap();
    service.signal("HUP");
    service.until("tokens are left as they were");
    assert_eq!(service.ask(&list, b"").0, 200);
    std::fs::write(&file, "").unwrap();
    service.signal("HUP");
    service.until("tokens are read again");
    assert_eq!(service.ask(&list, b"").0, 401);
}

#[test]
fn a_wrong_configuration_opens_no_socket_and_is_64() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    let directory = Directory::new();
    directory.write("portico.toml", &format!("listen = \"{address}\"\ncolor = 1\n[limits]\nidle = 0\n"));
    // With the port taken, an attempt to bind it would be told instead.
    for arguments in [&[][..], &["check"]] {
        let output = directory.run(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{errors}");
        let lines: Vec<_> = errors.lines().collect();
        assert_eq!(lines.len(), 3, "{errors}");
        assert!(lines[0].starts_with("portico.toml: backend: "), "{errors}");
        assert!(lines[1].starts_with("portico.toml:2: color: "), "{errors}");
        assert!(lines[2].starts_with("portico.toml:4: limits.idle: "), "{errors}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_file_that_is_not_there_is_64() {
    let output = Directory::new().run(&["check", "--config", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(64));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("nowhere.toml: cannot be read: "), "{errors}");
}

#[test]
fn a_command_line_that_is_wrong_is_64_and_help_is_not() {
    let directory = Directory::new();
    for wrong in [&["--colour"][..], &["chekc"], &["token"]] {
        assert_eq!(directory.run(wrong).status.code(), Some(64), "{wrong:?}");
    }
    let help = directory.run(&["--help"]);
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for word in ["--config", "check", "token", "Exit codes", "SIGHUP"] {
        assert!(help.contains(word), "{help}");
    }
    let version = String::from_utf8(directory.run(&["--version"]).stdout).unwrap();
    assert_eq!(version.trim(), concat!("portico ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_address_in_use_is_told_with_its_key_and_is_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let free = "127.0.0.1:0";
    for (key, listen, admin) in
        [("listen", address.to_string().as_str(), free), ("admin.listen", free, address.to_string().as_str())]
    {
        let directory = Directory::new();
        let text = format!("listen = \"{listen}\"\nadmin = {{ listen = \"{admin}\" }}\n{BACKEND}");
        directory.write("portico.toml", &text);
        let output = directory.run(&[]);
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(&format!("portico: {key}: cannot listen on {address}: ")), "{errors}");
        assert!(!errors.contains("listening on"), "{errors}");
    }
}

#[test]
fn check_tells_what_a_configuration_comes_to() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory = Directory::new();
    directory.write(
        "portico.toml",
        &format!(
            "listen = \"{address}\"\n[placement]\ndefault = \"scratch\"\n{BACKEND}deadline = \"1500ms\"\n"
        ),
    );
    let output = directory.run(&["check"]);
    // The port is taken, so it is not bound for this.
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("listen      {address}\nadmin       127.0.0.1:9293\n")), "{text}");
    assert!(text.contains("new images  scratch\n"), "{text}");
    assert!(text.contains("scratch  memory  1s 500ms  in this process\n"), "{text}");
    assert_eq!(std::fs::read_dir(directory.0.path()).unwrap().count(), 1);
}
