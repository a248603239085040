//! How the program is, as whoever watches over it sees it.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::{LARGE, Service};

/// A port that nobody else gets and where nobody listens.
fn dead_end() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A service of a backend in memory behind one that nobody answers for.
fn with_a_dead_backend(address: SocketAddr) -> Service {
    let options =
        format!("dialect = \"glance-v2\", endpoint = \"http://{address}\", auth = {{ kind = \"none\" }}");
    Service::start(&format!("[[backend]]\nname = \"dead\"\nkind = \"http\"\noptions = {{ {options} }}\n"))
}

fn json_of((status, body): (u16, String)) -> (u16, Value) {
    (status, serde_json::from_str(&body).unwrap())
}

/// The value of a sample.
fn sample(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}

#[test]
fn a_backend_that_fails_stays_listed_with_what_it_did_and_since_when() {
    let (_port, address) = dead_end();
    let service = with_a_dead_backend(address);
    let (status, before) = json_of(service.told("/backends"));
    assert_eq!(status, 200);
    assert_eq!(before["backends"][0]["state"], "ok", "it has not been asked yet");

    let (status, answer) = service.ask("GET /v2/images HTTP/1.1\r\n", b"");
    assert_eq!(status, 200, "{answer}");
    let (_, told) = service.told("/backends");
    assert!(!told.contains(&address.port().to_string()), "where a backend is must not be told: {told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    let [dead, scratch] = told["backends"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&dead["name"], &dead["kind"]), (&json!("dead"), &json!("http")));
    assert!(dead["state"] != "ok", "{dead}");
    let error = &dead["last_error"];
    assert_eq!((&error["operation"], &error["kind"]), (&json!("detail"), &json!("refused")), "{error}");
    assert!(!error["message"].as_str().unwrap().is_empty());
    // Texts of one shape are in the order of their times.
    let began = before["backends"][0]["since"].as_str().unwrap();
    assert!(dead["since"].as_str().unwrap() >= began && error["at"].as_str().unwrap() >= began, "{dead}");
    assert_eq!((&scratch["name"], &scratch["state"]), (&json!("scratch"), &json!("ok")));
    assert_eq!(scratch["last_error"], Value::Null);

    let ready = json!({"ready": true, "why": null, "backends": {"dead": dead["state"], "scratch": "ok"}});
    assert_eq!(json_of(service.told("/readyz")), (200, ready));
    assert_eq!(service.told("/healthz"), (200, "ok\n".into()));
    assert_eq!(service.told("/v2/images").0, 404);
}

#[test]
fn calls_and_requests_are_counted() {
    let (_port, address) = dead_end();
    let service = with_a_dead_backend(address);
    let lists = "portico_requests_total{method=\"GET\",route=\"/v2/images\",status=\"200\"}";
    let call = |backend, outcome, kind| {
        format!(
            "portico_backend_calls_total{{backend=\"{backend}\",operation=\"detail\",outcome=\"{outcome}\",kind=\"{kind}\"}}"
        )
    };
    assert_eq!(sample(&service.told("/metrics").1, lists), None);
    for _ in 0..2 {
        assert_eq!(service.ask("GET /v2/images HTTP/1.1\r\n", b"").0, 200);
    }
    assert_eq!(service.ask("BREW /nothing HTTP/1.1\r\n", b"").0, 501);
    let (status, text) = service.told("/metrics");
    assert_eq!(status, 200);
    assert_eq!(sample(&text, lists), Some(2.0), "{text}");
    let strange = "portico_requests_total{method=\"other\",route=\"unknown path\",status=\"501\"}";
    assert_eq!(sample(&text, strange), Some(1.0), "{text}");
    assert_eq!(sample(&text, &call("scratch", "ok", "")), Some(2.0), "{text}");
    assert!(sample(&text, &call("dead", "failure", "refused")).unwrap() >= 1.0, "{text}");
    assert_eq!(sample(&text, "portico_backend_state{backend=\"scratch\",state=\"ok\"}"), Some(1.0));
    assert_eq!(sample(&text, "portico_backend_state{backend=\"dead\",state=\"ok\"}"), Some(0.0));
    assert!(sample(&text, "process_resident_memory_bytes").unwrap() > 1e6);
    assert!(sample(&text, "process_start_time_seconds").unwrap() > 1e9);
}

#[test]
fn until_a_drain_is_over_it_is_told_that_nothing_more_should_come() {
    let mut service = Service::start("");
    let id = service.image(LARGE);
    let mut download = service.begin_download(&id);
    assert_eq!(service.told("/readyz").0, 200);
    service.signal("TERM");
    service.until("draining");
    let (status, told) = json_of(service.told("/readyz"));
    assert_eq!((status, &told["why"]), (503, &json!("draining")));
    assert_eq!(service.told("/healthz").0, 200);
    assert!(sample(&service.told("/metrics").1, "portico_connections").unwrap() >= 1.0);
    let mut data = Vec::new();
    download.read_to_end(&mut data).unwrap();
    assert_eq!(data.len(), LARGE);
    drop(download);
    assert_eq!(service.ended().code(), Some(0));
    assert!(TcpStream::connect(service.admin.unwrap()).is_err());
}

#[test]
fn it_can_be_told_to_tell_nothing() {
    let service = Service::start_as("admin = { listen = \"off\" }\n");
    assert_eq!(service.admin, None);
    assert_eq!(service.ask("GET /healthcheck HTTP/1.1\r\n", b"").0, 200);
}
