//! The configuration: every fault at once, each with its key and line.

use std::path::Path;
use std::time::Duration;

use portico::config::{self, Config, Loaded};

const BACKEND: &str = "[[backend]]\nname = \"a\"\nkind = \"memory\"\n";

fn parse(text: &str) -> Result<Loaded, Vec<String>> {
    config::parse(Path::new("portico.toml"), text)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn faults(text: &str) -> Vec<String> {
    parse(text).err().unwrap_or_default()
}

#[test]
fn one_backend_is_enough_and_everything_else_has_a_default() {
    let loaded = parse(BACKEND).unwrap();
    assert_eq!(loaded.config.listen.to_string(), "127.0.0.1:9292");
    assert_eq!(loaded.backends.len(), 1);
    assert_eq!(loaded.backends[0].deadline, Duration::from_secs(2));
    assert!(loaded.warnings.is_empty());
    let without_backends = Config { backends: Vec::new(), ..loaded.config };
    assert_eq!(without_backends, Config::default());
}

#[test]
fn all_faults_are_found_at_once_with_key_and_line() {
    let text = r#"
listen = "localhost"
color = "red"

[limits]
idle = "soon"
drain = 5
connections = 0
head = "1 B"
body = 1

[auth]
kind = "magic"

[federation]
partial = "maybe"
hint_age = "0s"

[placement]
default = "nowhere"

[[backend]]
name = "One"
kind = "memory"

[[backend]]
name = "two"
kind = "tape"
deadline = "-1s"

[[backend]]
kind = "memory"
options = { max_images = "many", max_size = 3 }

[[backend]]
name = "two"
options = 7
"#;
    let found = faults(text);
    let starts = [
        "portico.toml:2: listen: 'localhost' is not an address and port",
        "portico.toml:3: color: is not a key here, expected one of `listen`, ",
        "portico.toml:6: limits.idle: invalid value: string \"soon\"",
        "portico.toml:7: limits.drain: invalid type: integer `5`",
        "portico.toml:8: limits.connections: invalid value: integer `0`",
        "portico.toml:9: limits.head: must be from 8.0 KiB to 1.0 MiB",
        "portico.toml:10: limits.body: is not a key here",
        "portico.toml:13: auth.kind: unknown variant `magic`, expected one of `none`, `tokens`, `keystone`",
        "portico.toml:16: federation.partial: 'maybe' is not one of serve, refuse",
        "portico.toml:17: federation.hint_age: must be longer than nothing",
        "portico.toml:20: placement.default: 'nowhere' is not the name of a backend",
        "portico.toml:23: backend[0].name: 'One' must be lower-case letters",
        "portico.toml:28: backend[1].kind: 'tape' is not one of ",
        "portico.toml:29: backend[1].deadline: invalid value",
        "portico.toml:31: backend[2].name: is missing",
        "portico.toml:33: backend[2].options.max_images: invalid type: string",
        "portico.toml:33: backend[2].options.max_size: is not a key here",
        "portico.toml:35: backend[3].kind: is missing",
        "portico.toml:36: backend[3].name: 'two' is already the name of backend[1]",
        "portico.toml:37: backend[3].options: invalid type: integer `7`",
    ];
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}\nshould start with\n{start}");
    }
    assert_eq!(found.len(), starts.len(), "{found:#?}");
}

#[test]
fn a_wrong_item_of_a_list_hides_no_other_fault() {
    let text = r#"
listn = 1
[formats]
disk = [1, "raw", 2]
[limits]
connections = 0
head = "1 B"
[[backend]]
name = "X Y"
kind = "memory"
options.bad = 1
"#;
    let places: Vec<_> =
        faults(text).iter().map(|fault| fault.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        [
            "portico.toml:2 listn",
            "portico.toml:4 formats.disk[0]",
            "portico.toml:4 formats.disk[2]",
            "portico.toml:6 limits.connections",
            "portico.toml:7 limits.head",
            "portico.toml:9 backend[0].name",
            "portico.toml:11 backend[0].options.bad",
        ]
    );
}

#[test]
fn options_of_a_backend_in_a_table_of_its_own_have_their_own_lines() {
    let found = faults(&format!("{BACKEND}[backend.options]\nmax_images = 1\nsize = 3\n"));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("portico.toml:6: backend[0].options.size: is not a key here"), "{found:?}");
}

#[test]
fn faults_of_syntax_have_their_lines_too() {
    let found = faults("listen = \nx = 1\n[limits\nidle = \"1s\"\nx = 2 3\n");
    assert!(found.iter().any(|fault| fault.starts_with("portico.toml:1: ")), "{found:?}");
    assert!(found.iter().any(|fault| fault.starts_with("portico.toml:3: ")), "{found:?}");
    assert!(found.iter().any(|fault| fault.starts_with("portico.toml:5: ")), "{found:?}");
}

#[test]
fn a_key_given_twice_is_a_fault() {
    let found = faults(&format!("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n{BACKEND}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("portico.toml:2: duplicate key `listen`"), "{found:?}");
}

#[test]
fn without_a_backend_there_is_nothing_to_serve() {
    assert_eq!(faults(""), ["portico.toml: backend: there must be at least one [[backend]]"]);
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("portico.toml");
    let binary = directory.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    for (file, message) in [
        (missing.as_path(), "cannot be read: No such file"),
        (directory.path(), "cannot be read: Is a directory"),
        (binary.as_path(), "is not UTF-8 text"),
    ] {
        let faults = config::load(file).unwrap_err();
        assert_eq!(faults.len(), 1);
        let expected = format!("{}: {message}", file.display());
        assert!(faults[0].to_string().starts_with(&expected), "{}", faults[0]);
    }
}

#[test]
fn a_public_endpoint_is_an_address_and_nothing_more() {
    for (endpoint, message) in [
        ("images.example", "is not an address"),
        ("ftp://images.example", "is not an http or https address"),
        ("https://me:secret@images.example", "must not hold credentials"),
        ("https://images.example/?a=b", "must not have a query"),
        ("https://images.example/\\r\\nx", "must not have blanks"),
        ("https://images.example/a b", "must not have blanks"),
        (" https://images.example", "must not have blanks"),
    ] {
        let found = faults(&format!("public_endpoint = \"{endpoint}\"\n{BACKEND}"));
        let expected = format!("portico.toml:1: public_endpoint: {message}");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
        assert!(!found[0].contains("me:secret"));
    }
    for (written, meant) in [
        ("https://images.example/glance", "https://images.example/glance"),
        ("https://images.example/", "https://images.example"),
        ("HTTPS://Images.Example:443/\u{fc}", "https://images.example/%C3%BC"),
    ] {
        let loaded = parse(&format!("public_endpoint = \"{written}\"\n{BACKEND}")).unwrap();
        assert_eq!(loaded.config.public_endpoint.as_deref(), Some(meant));
    }
}

#[test]
fn a_log_level_that_would_silence_the_service_is_a_fault() {
    for (level, message) in [
        ("inof", "'inof' is not one of off, error, warn, info, debug, trace"),
        ("warn,portico", "'portico' is not one of off,"),
        ("warn,portico=inof", "error parsing level filter"),
    ] {
        let found = faults(&format!("[log]\nlevel = \"{level}\"\n{BACKEND}"));
        let expected = format!("portico.toml:2: log.level: {message}");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
    }
    for level in ["info", "WARN", "off", "warn,portico=debug", "error,[request{method=PUT}]=trace"] {
        assert_eq!(faults(&format!("[log]\nlevel = \"{level}\"\n{BACKEND}")), [""; 0], "{level}");
    }
}

#[test]
fn letting_in_everyone_from_everywhere_is_warned_of() {
    let warnings = parse(&format!("listen = \"0.0.0.0:9292\"\n{BACKEND}")).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().starts_with("portico.toml:1: listen: everyone who can reach"));
}

#[test]
fn where_health_is_told_is_an_address_of_its_own_or_off() {
    for (listen, admin, message) in [
        (
            "127.0.0.1:1",
            "somewhere",
            "'somewhere' is neither an address and port, such as 127.0.0.1:9293, nor off",
        ),
        ("127.0.0.1:1", "127.0.0.1", "'127.0.0.1' is neither"),
        ("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1 cannot be had beside listen, which is 127.0.0.1:1"),
        ("0.0.0.0:1", "127.0.0.1:1", "127.0.0.1:1 cannot be had beside listen, which is 0.0.0.0:1"),
        ("127.0.0.1:1", "[::]:1", "[::]:1 cannot be had beside listen, which is 127.0.0.1:1"),
    ] {
        let found = faults(&format!("listen = \"{listen}\"\nadmin = {{ listen = \"{admin}\" }}\n{BACKEND}"));
        let expected = format!("portico.toml:2: admin.listen: {message}");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
    }
    // Also where the file does not speak of it.
    let found = faults(&format!("listen = \"127.0.0.1:9293\"\n{BACKEND}"));
    assert_eq!(
        found,
        ["portico.toml: admin.listen: 127.0.0.1:9293 cannot be had beside listen, which is 127.0.0.1:9293"]
    );
    for (listen, admin) in
        [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:1", "127.0.0.2:1"), ("[::1]:1", "0.0.0.0:1")]
    {
        let text = format!("listen = \"{listen}\"\nadmin = {{ listen = \"{admin}\" }}\n{BACKEND}");
        assert_eq!(parse(&text).unwrap().config.admin.listen, Some(admin.parse().unwrap()));
    }
    let off = parse(&format!("admin = {{ listen = \"off\" }}\n{BACKEND}")).unwrap();
    assert_eq!(off.config.admin.listen, None);
    assert!(config::report(&off).contains("admin       off\n"));
    assert!(config::report(&parse(BACKEND).unwrap()).contains("admin       127.0.0.1:9293\n"));
}

#[test]
fn telling_health_to_everyone_is_warned_of() {
    let warnings = |address| {
        let text = format!("admin = {{ listen = \"{address}\" }}\n{BACKEND}");
        parse(&text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        warnings("0.0.0.0:9293"),
        [
            "portico.toml:1: admin.listen: everyone who can reach 0.0.0.0:9293 can read the metrics and how the \
          backends are, unasked"
        ]
    );
    assert_eq!(warnings("[::1]:9293"), [""; 0]);
}

#[test]
fn the_kind_tokens_needs_its_file_and_a_good_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens.toml");
    let text = format!(
        "[auth]\nkind = \"tokens\"\ntokens = {{ file = \"{}\" }}\nextra = 1\n{BACKEND}",
        file.display()
    );
    let found = faults(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("portico.toml:3: auth.tokens.file: "), "{found:?}");
    assert!(found[0].contains("cannot be read"), "{found:?}");

    std::fs::write(&file, "[[token]]\nsha256 = \"beef\"\nproject = \"p\"\n").unwrap();
    let found = faults(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    let expected = format!("{}:2: token[0].sha256: is not a SHA-256", file.display());
    assert!(found[1].starts_with(&expected), "{found:?}");

    // Where it is not used, nobody looks for it.
    assert_eq!(faults(&text.replace("\"tokens\"", "\"none\"")).len(), 1);
}

#[test]
fn the_kind_keystone_needs_an_address_and_a_credential() {
    let text =
        |keystone: &str| format!("[auth]\nkind = \"keystone\"\n[auth.keystone]\n{keystone}\n{BACKEND}");
    let found = faults(&text(""));
    assert_eq!(
        found,
        [
            "portico.toml:3: auth.keystone.credential: is missing",
            "portico.toml:3: auth.keystone.url: is missing"
        ]
    );
    let url = "url = \"http://u:hunter2@h\"";
    let credential = "credential = { username = \"a\", password = \"hunter2\" }";
    let found =
        faults(&text(&format!("{url}\n{credential}\nrecheck = \"0s\"\ncalls = 2000\nadmin_roles = [\" \"]")));
    let expected = [
        "portico.toml:4: auth.keystone.url: a URL with credentials",
        "portico.toml:5: auth.keystone.credential: needs exactly one of project_name",
        "portico.toml:6: auth.keystone.recheck: must be longer than nothing",
        "portico.toml:7: auth.keystone.calls: must not be more than 1000",
        "portico.toml:8: auth.keystone.admin_roles[0]: must be the name of a role",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nshould start with\n{expected}");
        assert!(!found.contains("hunter2"), "{found}");
    }
    // Where it is not used it need not be there.
    assert_eq!(faults(&text("").replace("\"keystone\"", "\"none\"")), Vec::<String>::new());
}

#[test]
fn the_report_tells_which_keystone_knows_callers_and_not_with_which_password() {
    let credential = "{ username = \"a\", password = \"hunter2\", project_name = \"b\" }";
    let keystone = format!("keystone = {{ url = \"https://k.example/v3\", credential = {credential} }}");
    let loaded = parse(&format!("[auth]\nkind = \"keystone\"\n{keystone}\n{BACKEND}")).unwrap();
    let report = config::report(&loaded);
    assert!(report.contains("callers     whom keystone knows, at https://k.example/v3"), "{report}");
    assert!(!format!("{report}{:?}", loaded.config).contains("hunter2"));
}

#[test]
fn a_value_can_come_from_a_file_or_the_environment_and_is_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("number");
    std::fs::write(&file, "hunter2\n").unwrap();
    let text = |value: &str| format!("{BACKEND}options = {{ max_bytes = \"{value}\" }}\n");
    let from_file = format!("${{file:{}}}", file.display());

    let found = faults(&text(&from_file));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("portico.toml:4: backend[0].options.max_bytes: "), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");

    std::fs::write(&file, "5MiB\n").unwrap();
    assert!(parse(&text(&from_file)).is_ok());

    // Cargo sets this one for every test.
    let version = env!("CARGO_PKG_VERSION");
    let found = faults(&text("${env:CARGO_PKG_VERSION}"));
    assert!(found.len() == 1 && !found[0].contains(version), "{found:?}");
}

#[test]
fn a_reference_that_leads_nowhere_is_one_fault() {
    let missing = "${file:/nowhere/at/all}";
    let found = faults(&format!(
        "public_endpoint = \"${{env:PORTICO_TEST_UNSET}}\"\n{BACKEND}options = {{ max_bytes = \"{missing}\" }}\n"
    ));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("portico.toml:1: public_endpoint: the environment variable"), "{found:?}");
    assert!(found[1].starts_with("portico.toml:5: backend[0].options.max_bytes: the file"), "{found:?}");
}

#[test]
fn what_sounds_like_a_secret_is_never_shown() {
    let found = faults(&format!("{BACKEND}options = {{ max_ids = [\"x\"], token = \"hunter2\" }}\n"));
    assert!(found.iter().all(|fault| !fault.contains("hunter2")), "{found:?}");
    // What is too short for a secret does not spoil the messages.
    let found = faults(&format!("tint = 1\n{BACKEND}options = {{ token = \"t\" }}\n"));
    assert!(
        found[0].starts_with("portico.toml:1: tint: is not a key here, expected one of `listen`"),
        "{found:?}"
    );
    let found = faults("[auth]\ntokens = \"hunter2\"\n");
    assert!(found.iter().any(|fault| fault.contains("auth.tokens")), "{found:?}");
    assert!(found.iter().all(|fault| !fault.contains("hunter2")), "{found:?}");
}

#[test]
fn a_key_for_cursors_must_be_long_and_is_never_shown() {
    let with = |key: &str| faults(&format!("{BACKEND}\n[pages]\ncursor_key = \"{key}\"\nmarks = 2000000\n"));
    let told = with("hunter2");
    assert!(told.iter().any(|fault| fault.contains("pages.cursor_key: must have 32 characters")), "{told:?}");
    assert!(!told.concat().contains("hunter2"), "{told:?}");
    let good = "0123456789abcdef0123456789abcdef";
    let told = with(good);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("pages.marks: must not be more than 1000000"), "{told:?}");
    let config = parse(&format!("{BACKEND}\n[pages]\ncursor_key = \"{good}\"\n")).unwrap().config;
    assert!(!format!("{config:?}").contains(good));
}

#[test]
fn faults_of_a_remote_service_are_told_without_its_token() {
    let backend =
        |options: &str| format!("[[backend]]\nname = \"a\"\nkind = \"http\"\noptions = {{ {options} }}\n");
    let faults = |options: &str| faults(&backend(options));
    assert_eq!(
        faults("dialect = \"glance-v2\""),
        ["portico.toml:4: backend[0].options.endpoint: is missing"]
    );
    let found =
        faults("dialect = \"v9\", endpoint = \"images\", auth = { kind = \"token\", tokem = \"hunter2\" }");
    let starts = [
        "portico.toml:4: backend[0].options.auth.tokem: is not a key here, expected ",
        "portico.toml:4: backend[0].options.dialect: unknown variant `v9`, expected one of `glance-v2`, `glance-v1`, `compute-images`, `simplestreams`, `virt-builder`, `directory`",
        "portico.toml:4: backend[0].options.endpoint: not a URL",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}\nshould start with\n{start}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn options_of_a_remote_service_that_cannot_be_meant_are_told_with_key_and_line() {
    let found = faults(
        r#"
[[backend]]
name = "a"
kind = "http"
[backend.options]
dialect = "glance-v2"
endpoint = "http://images.example"
auth = { kind = "token", token = "hunter2\n" }
pool_idle_timeout = "18446744073709551615s"
answer_timeout = "0s"
max_response = 0
"#,
    );
    assert_eq!(
        found,
        [
            "portico.toml:8: backend[0].options.auth: the token is empty or not one that a header can carry",
            "portico.toml:9: backend[0].options.pool_idle_timeout: must not be longer than a day",
            "portico.toml:10: backend[0].options.answer_timeout: must be longer than nothing",
            "portico.toml:11: backend[0].options.max_response: must be more than nothing",
        ]
    );
    let backend = "[[backend]]\nname = \"a\"\nkind = \"http\"\n";
    let address = "dialect = \"glance-v2\", endpoint = \"http://images.example\"";
    let found = faults(&format!("{backend}options = {{ {address}, auth = {{ kind = \"token\" }} }}\n"));
    let expected = "needs exactly one of token, token_file and token_env";
    assert_eq!(found, [format!("portico.toml:4: backend[0].options.auth: {expected}")]);
}

#[test]
fn every_option_that_a_dialect_has_no_use_for_is_told_with_key_and_line() {
    for (dialect, useless, useful) in [
        ("compute-images", "text_order = 'bytes'\nskip_limit = 1\nsettle_timeout = '1s'", "page_size = 9"),
        ("glance-v1", "membership_width = 8\ntext_order = 'auto'", "settle_timeout = '1s'"),
        ("virt-builder", "versions = 1\nskip_limit = 1\nftypes = { x = 'raw' }", "fresh = '9s'"),
    ] {
        let with = |more: &str| {
            format!(
                "[[backend]]\nname = 'a'\nkind = 'http'\n[backend.options]\ndialect = '{dialect}'\n\
                 endpoint = 'http://images.example'\n{useful}\n{more}\n"
            )
        };
        let expected = useless.lines().enumerate().map(|(number, line)| {
            let (key, _) = line.split_once(' ').unwrap();
            let place = format!("portico.toml:{}: backend[0].options.{key}", 8 + number);
            format!("{place}: is not a key here, the dialect {dialect} has no use for it")
        });
        assert_eq!(faults(&with(useless)), expected.collect::<Vec<_>>());
        assert!(parse(&with("")).is_ok(), "{dialect}");
    }
}

#[test]
fn faults_of_a_published_catalogue_are_told_with_key_and_line() {
    let found = faults(
        r#"
[[backend]]
name = "a"
kind = "http"
[backend.options]
dialect = "simplestreams"
endpoint = "ftp://images.example"
page_size = 10
versions = 0
fresh = "0s"
"#,
    );
    let starts = [
        "portico.toml:7: backend[0].options.endpoint: not an http or https URL",
        "portico.toml:8: backend[0].options.page_size: is not a key here, expected ",
        "portico.toml:9: backend[0].options.versions: ",
        "portico.toml:10: backend[0].options.fresh: must be longer than nothing",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}\nshould start with\n{start}");
    }
}

#[test]
fn the_report_tells_where_a_remote_service_is_and_not_how_it_is_entered() {
    let options = "dialect = \"glance-v2\", endpoint = \"https://images.paris.example:9292\", \
                   auth = { kind = \"token\", token = \"hunter2\" }";
    let text = format!("[[backend]]\nname = \"paris\"\nkind = \"http\"\noptions = {{ {options} }}\n");
    let report = config::report(&parse(&text).unwrap());
    assert!(report.contains("paris    http  2s        https://images.paris.example:9292/\n"), "{report}");
    assert!(report.contains("new images  the first backend that takes writes\n"), "{report}");
    assert!(!report.contains("hunter2"), "{report}");
}

#[test]
fn bounds_on_metadata_definitions_have_bounds_themselves() {
    let told = faults(
        "[metadefs]\nnamespaces = 100001\ntags = 0\nreaders = 65\ndocument = 1023\ncontents = \"65MiB\"\nbusy_timeout = \"61m\"\n\
         [[backend]]\nname = \"a\"\nkind = \"memory\"\n",
    );
    for fault in [
        ":2: metadefs.namespaces: must not be more than 100000",
        ":3: metadefs.tags: ",
        ":4: metadefs.readers: must not be more than 64",
        ":5: metadefs.document: must be from 1.0 KiB to 64.0 MiB",
        ":6: metadefs.contents: must be from 1.0 KiB to 64.0 MiB",
        ":7: metadefs.busy_timeout: must not be longer than an hour",
    ] {
        assert!(told.iter().any(|told| told.contains(fault)), "{fault} is not in {told:#?}");
    }
}

#[test]
fn a_guard_that_would_let_nothing_through_or_everything_is_a_fault() {
    let text = format!(
        r#"[guard]
calls = 0
streams = 1000000
queue = 10000000
idle = "0s"
failures = 0
slow_call = "0s"
slow_percent = 101
slow_least = 101
pause = "1m"
longest_pause = "10s"
retries = 11
retry_percent = 101
hedge_percent = 101
hedge_after = "0s"

{BACKEND}guard = {{ calls = 0, streams = 1000000, idle = "0s", slow_call = "2d", queue = 1 }}
"#
    );
    let found = faults(&text);
    for start in [
        "portico.toml:2: guard.calls: invalid value: integer `0`",
        "portico.toml:3: guard.streams: must not be more than 100000",
        "portico.toml:4: guard.queue: must not be more than 1000000",
        "portico.toml:5: guard.idle: must be longer than nothing",
        "portico.toml:6: guard.failures: invalid value: integer `0`",
        "portico.toml:7: guard.slow_call: must be longer than nothing",
        "portico.toml:8: guard.slow_percent: must be from 1 to 100",
        "portico.toml:9: guard.slow_least: must not be more than 100",
        "portico.toml:11: guard.longest_pause: must not be shorter than guard.pause",
        "portico.toml:12: guard.retries: must not be more than 10",
        "portico.toml:13: guard.retry_percent: must not be more than 100",
        "portico.toml:14: guard.hedge_percent: must not be more than 100",
        "portico.toml:15: guard.hedge_after: must be longer than nothing",
        "portico.toml:20: backend[0].guard.calls: invalid value: integer `0`",
        "portico.toml:20: backend[0].guard.streams: must not be more than 100000",
        "portico.toml:20: backend[0].guard.idle: must be longer than nothing",
        "portico.toml:20: backend[0].guard.slow_call: must not be longer than a day",
        "portico.toml:20: backend[0].guard.queue: is not a key here",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(start)), "{start}\nnot in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), 18, "{}", found.join("\n"));
}

#[test]
fn a_download_that_would_be_taken_up_again_without_end_is_a_fault() {
    let text = format!(
        "[federation]\ncool_down = \"2d\"\ncooled = 10000000\nresumes = 10000000\nresume_attempts = 101\n\
         resume_within = \"0s\"\nresume_pause = \"2d\"\n{BACKEND}"
    );
    let found = faults(&text);
    for start in [
        "portico.toml:2: federation.cool_down: must not be longer than a day",
        "portico.toml:3: federation.cooled: must not be more than 1000000",
        "portico.toml:4: federation.resumes: must not be more than 1000000",
        "portico.toml:5: federation.resume_attempts: must not be more than 100",
        "portico.toml:6: federation.resume_within: must be longer than nothing",
        "portico.toml:7: federation.resume_pause: must not be longer than a day",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(start)), "{start}\nnot in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), 6, "{}", found.join("\n"));
    let text = format!(
        "[federation]\ncool_down = \"0s\"\nresumes = 0\nresume_attempts = 0\n{BACKEND}verify = false\n"
    );
    assert!(!parse(&text).unwrap().config.backends[0].verify);
}

#[test]
fn what_a_backend_says_of_its_guard_holds_for_it_and_the_rest_for_all() {
    let text = format!("[guard]\ncalls = 7\nidle = \"5s\"\n{BACKEND}guard = {{ calls = 2 }}\n");
    let config = parse(&text).unwrap().config;
    let own = config.guard.with(&config.backends[0].guard);
    assert_eq!((own.calls.get(), own.idle), (2, Duration::from_secs(5)));
    assert_eq!(own, config::Guard { calls: own.calls, ..config.guard });
}

#[test]
fn what_projects_are_called_in_a_backend_is_told_with_key_and_line() {
    let long = "x".repeat(256);
    let text = format!(
        r#"{BACKEND}[backend.tenancy]
ceiling = "wide"
others = "here"
[backend.tenancy.projects]
a = "x"
b = "y"
c = "x"
"" = "z"
d = "{long}"
e = "\u0007"
"a:b" = "w"
"#
    );
    let found = faults(&text);
    let expected = [
        "portico.toml:5: backend[0].tenancy.ceiling: 'wide' is not one of public, community, shared, private",
        "portico.toml:6: backend[0].tenancy.others: unknown variant `here`, expected `same` or `apart`",
        "portico.toml:10: backend[0].tenancy.projects.c: 'x' is already what 'a' is called there",
        "portico.toml:11: backend[0].tenancy.projects.: '' must have 1 to 255 printable characters",
        "portico.toml:12: backend[0].tenancy.projects.d: 'xxx",
        "portico.toml:13: backend[0].tenancy.projects.e: '\\u{7}' must have 1 to 255 printable characters",
        "portico.toml:14: backend[0].tenancy.projects.a:b: 'a:b' must not begin with 'a:', as projects do that only",
    ];
    for start in expected {
        assert!(found.iter().any(|fault| fault.starts_with(start)), "no {start} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn the_report_tells_how_wide_the_images_of_a_backend_are_shown() {
    let text = format!("{BACKEND}tenancy = {{ ceiling = \"shared\", projects = {{ a = \"x\" }} }}\n");
    let told = config::report(&parse(&text).unwrap());
    assert!(told.contains("no wider than shared, 1 project by another name"), "{told}");
    assert!(!config::report(&parse(BACKEND).unwrap()).contains("wider"));
}

#[test]
fn a_cache_is_no_store_and_the_kinds_that_are_far_away_are_cached() {
    let store = |name: &str, rest: &str| format!("[[backend]]\nname = '{name}'\n{rest}\n");
    let cache = store("cache", "kind = 'local'\nrole = 'cache'\noptions = { path = 'x', size = '1 GB' }");
    let http = "kind = 'http'\noptions = { dialect = 'glance-v2', endpoint = 'http://paris' }";
    let text = [
        cache.clone(),
        store("near", "kind = 'memory'"),
        store("warm", "kind = 'memory'\ncached = true"),
        store("far", http),
        store("apart", &format!("cached = false\n{http}")),
    ];
    let loaded = parse(&text.concat()).unwrap();
    let cached: Vec<_> =
        loaded.backends.iter().map(|planned| (planned.name.as_str(), planned.cached)).collect();
    assert_eq!(cached, [("near", false), ("warm", true), ("far", true), ("apart", false)]);
    assert_eq!(loaded.cache.unwrap().size.as_u64(), 1_000_000_000);
    assert_eq!(faults(&cache), ["portico.toml:1: backend: there must be at least one that is no cache"]);
}

#[test]
fn faults_about_the_cache_are_told_with_key_and_line() {
    let text = "[[backend]]\nname = 'a'\nkind = 'memory'\nrole = 'cache'\n\
                [[backend]]\nname = 'b'\nkind = 'local'\nrole = 'cache'\ncached = true\n\
                options = { path = 'x', size = '1 GB', most = '2 GB', patience = '0s', depth = 3 }\n\
                [[backend]]\nname = 'c'\nkind = 'memory'\n[placement]\ndefault = 'a'";
    assert_eq!(
        faults(text),
        [
            "portico.toml:3: backend[0].kind: 'memory' cannot be the cache",
            "portico.toml:8: backend[1].role: there can be one cache, and backend[0] is it",
            "portico.toml:15: placement.default: 'a' is not the name of a backend",
        ]
    );
    let text = text.replacen("role = 'cache'\n", "", 1);
    let found = faults(&text);
    assert!(found[0].starts_with("portico.toml:8: backend[1].cached: is for stores"), "{found:?}");
    assert!(found[1].contains(":9: backend[1].options") && found[1].contains("depth"), "{found:?}");
    let found = faults(&text.replace(", depth = 3", "").replace("cached = true\n", ""));
    assert_eq!(
        found,
        [
            "portico.toml:8: backend[1].options.most: must not be more than size, which is 953.7 MiB",
            "portico.toml:8: backend[1].options.patience: must be longer than nothing and at most a day",
        ]
    );
}
