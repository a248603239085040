//! What a configuration comes to, for the person who wrote it. Holds no secrets.

use std::fmt::Write as _;

use image_service::Visibility;

use super::{AuthKind, Loaded, OtherProjects, TenancyOfBackend};

/// Tells where the service would listen, whom it would let in, and which backends it would use.
#[must_use]
pub fn report(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let auth = match config.auth.kind {
        AuthKind::None => String::from("none: everyone is an administrator"),
        AuthKind::Keystone => {
            let url = config.auth.keystone.url.as_ref();
            format!("whom keystone knows, at {}", url.map_or("an unknown place", |url| url.as_str()))
        }
        AuthKind::Tokens => format!("tokens of {}", config.auth.tokens.file.display()),
    };
    let default = config.placement.default.as_deref().unwrap_or("the first backend that takes writes");
    let header = ["BACKEND", "KIND", "DEADLINE", "WHERE"].map(str::to_owned);
    let rows = loaded.backends.iter().map(|backend| {
        let deadline = humantime_serde::re::humantime::format_duration(backend.deadline).to_string();
        let address = backend.address.clone().unwrap_or_else(|| String::from("in this process"));
        [backend.name.clone(), backend.kind.to_owned(), deadline, address]
    });
    let admin = config.admin.listen.map_or_else(|| String::from("off"), |address| address.to_string());
    let mut text = format!(
        "listen      {}\nadmin       {admin}\ncallers     {auth}\nnew images  {default}\n\n",
        config.listen
    );
    text.push_str(&table(std::iter::once(header).chain(rows).collect()));
    for entry in &config.backends {
        let (name, told) = (entry.name.as_deref().unwrap_or_default(), tenancy(&entry.tenancy));
        if !told.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{name}: {}", told.join(", "));
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// What is otherwise than in the backend itself.
fn tenancy(tenancy: &TenancyOfBackend) -> Vec<String> {
    let mut told = Vec::new();
    if tenancy.ceiling != Visibility::Public {
        told.push(format!("images are shown no wider than {}", tenancy.ceiling));
    }
    match tenancy.projects.len() {
        0 => {}
        1 => told.push(String::from("1 project by another name")),
        many => told.push(format!("{many} projects by other names")),
    }
    if tenancy.others == OtherProjects::Apart {
        told.push(String::from("no other project is known"));
    }
    told
}

/// Rows with their columns aligned.
fn table(rows: Vec<[String; 4]>) -> String {
    let mut text = String::new();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let (first, second, third) = (width(0), width(1), width(2));
    for [name, kind, deadline, address] in &rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:first$}  {kind:second$}  {deadline:third$}  {address}");
    }
    text
}
