//! A Keystone that does as it is told, on a real socket, to show what no real one does on demand.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The one password that it takes, and the one secret.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// What it is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should be.
    Well,
    /// It answers everything with this status.
    Answers(u16),
    /// It sends everybody elsewhere.
    Redirects(String),
    /// It says this, and that all is well.
    Babbles(String),
}

/// A request to see a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validation {
    pub(crate) subject: String,
    pub(crate) own: String,
    pub(crate) query: String,
}

/// What it knows and has seen.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Tokens, and what it says of them.
    pub(crate) tokens: BTreeMap<String, Value>,
    /// Tokens that it gave to whoever showed the password, and takes.
    pub(crate) own: BTreeSet<String>,
    /// How long those live.
    pub(crate) life: Duration,
    /// What else it answers, by path and query.
    pub(crate) pages: BTreeMap<String, Value>,
    pub(crate) mood: Mood,
    pub(crate) logins: Vec<Value>,
    pub(crate) validations: Vec<Validation>,
}

/// A Keystone on loopback. It is gone when this is dropped.
pub(crate) struct Keystone {
    pub(crate) address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Desk {
    ledger: Arc<Mutex<Ledger>>,
    open: watch::Receiver<bool>,
}

impl Keystone {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::new(Mutex::new(Ledger {
            tokens: BTreeMap::new(),
            own: BTreeSet::new(),
            life: Duration::from_secs(3600),
            pages: BTreeMap::new(),
            mood: Mood::Well,
            logins: Vec::new(),
            validations: Vec::new(),
        }));
        let (open, receiver) = watch::channel(true);
        let desk = Desk { ledger: Arc::clone(&ledger), open: receiver };
        let app = Router::new().fallback(answer).with_state(desk);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, ledger, open, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v3", self.address)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Knows a token of `user` in `project` with these roles, for so many seconds from now, or until so many ago.
    pub(crate) fn knows(&self, token: &str, user: &str, project: &str, roles: &[&str], seconds: i64) {
        let mut told = told(user, roles, seconds);
        told["project"] = json!({"id": project, "name": project, "domain": domain()});
        self.ledger().tokens.insert(token.into(), told);
    }

    /// Knows a token of another scope, such as `("system", {"all": true})`.
    pub(crate) fn knows_of(&self, token: &str, scope: Option<(&str, Value)>, roles: &[&str]) {
        let mut told = told("somebody", roles, 3600);
        if let Some((name, value)) = scope {
            told[name] = value;
        }
        self.ledger().tokens.insert(token.into(), told);
    }

    pub(crate) fn forgets(&self, token: &str) {
        self.ledger().tokens.remove(token);
    }

    /// No longer takes the tokens that it gave so far.
    pub(crate) fn drops_own_tokens(&self) {
        self.ledger().own.clear();
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.ledger().mood = mood;
    }

    /// Answers nothing more until it is let go on. What has been asked is noted all the same.
    pub(crate) fn holds(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn goes_on(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn logins(&self) -> usize {
        self.ledger().logins.len()
    }

    /// How often it was asked about `token`.
    pub(crate) fn asked_about(&self, token: &str) -> usize {
        self.ledger().validations.iter().filter(|validation| validation.subject == token).count()
    }
}

impl Drop for Keystone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn domain() -> Value {
    json!({"id": "default", "name": "Default"})
}

fn told(user: &str, roles: &[&str], seconds: i64) -> Value {
    let roles: Vec<_> =
        roles.iter().map(|role| json!({"id": format!("id-of-{role}"), "name": role})).collect();
    json!({
        "methods": ["password"],
        "user": {"id": user, "name": format!("name of {user}"), "domain": domain(), "password_expires_at": null},
        "roles": roles,
        "issued_at": Timestamp::now().to_string(),
        "expires_at": in_seconds(seconds).to_string(),
    })
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

async fn answer(State(mut desk): State<Desk>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    let subject = text(&head.headers, "x-subject-token");
    let own = text(&head.headers, "x-auth-token");
    if let (&Method::GET, Some(subject), Some(own)) = (&head.method, &subject, &own) {
        let validation = Validation { subject: subject.clone(), own: own.clone(), query: query.clone() };
        desk.ledger.lock().unwrap().validations.push(validation);
    }
    if head.method == Method::POST {
        desk.ledger.lock().unwrap().logins.push(serde_json::from_slice(&body).unwrap_or_default());
    }
    desk.open.wait_for(|open| *open).await.unwrap();
    let mut ledger = desk.ledger.lock().unwrap();
    match ledger.mood.clone() {
        Mood::Well => {}
        Mood::Answers(status) => return error(status),
        Mood::Redirects(to) => return (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response(),
        Mood::Babbles(text) => return (StatusCode::OK, text).into_response(),
    }
    match (head.method, path.as_str()) {
        (Method::POST, "/v3/auth/tokens") => ledger.log_in(&body),
        _ if !own.is_some_and(|own| ledger.own.contains(&own)) => error(401),
        (Method::GET, "/v3/auth/tokens") => {
            ledger.tell(&subject.unwrap_or_default(), query.contains("allow_expired=1"))
        }
        (_, path) => {
            let page = ledger.pages.get(&format!("{path}?{query}"));
            page.map_or_else(|| error(404), |page| page.to_string().into_response())
        }
    }
}

impl Ledger {
    fn log_in(&mut self, body: &Bytes) -> Response {
        if !String::from_utf8_lossy(body).contains(&format!("{PASSWORD:?}")) {
            return error(401);
        }
        let own = format!("own-{}", self.logins.len());
        self.own.insert(own.clone());
        let token = told("portico", &["service"], i64::try_from(self.life.as_secs()).unwrap());
        (StatusCode::CREATED, [("x-subject-token", own)], json!({"token": token}).to_string()).into_response()
    }

    fn tell(&self, subject: &str, late: bool) -> Response {
        let Some(token) = self.tokens.get(subject) else { return error(404) };
        let ends: Timestamp = token["expires_at"].as_str().unwrap().parse().unwrap();
        if ends <= Timestamp::now() && !late {
            return error(404);
        }
        json!({"token": token}).to_string().into_response()
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn error(status: u16) -> Response {
    let body = json!({"error": {"code": status, "message": "SECRET-WORDS of keystone", "title": "x"}});
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}
