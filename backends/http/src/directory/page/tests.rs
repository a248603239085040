//! Pages as nginx 1.22 and Apache 2.4 wrote them for one and the same directory, and pages made up.

use super::*;

const PAGES: &[(&str, &str)] = &[
    ("plain", include_str!("../../../tests/recorded/directories/apache-plain.html")),
    ("fancy", include_str!("../../../tests/recorded/directories/apache-fancy.html")),
    ("table", include_str!("../../../tests/recorded/directories/apache-table.html")),
    ("html", include_str!("../../../tests/recorded/directories/nginx.html")),
    ("json", include_str!("../../../tests/recorded/directories/nginx.json")),
];

const FILES: &[&str] = &[
    "100%.qcow2",
    "CHECKSUM",
    "SHA256SUMS",
    "a-very-long-name-that-no-display-of-any-server-will-show-in-full-because-it-is-so-long-x86_64.qcow2",
    "amp&lt<q>'quote\".iso",
    "colon:name.qcow2",
    "debian-12-generic-amd64.qcow2",
    "größe-ü.qcow2",
    "hash#tag.qcow2",
    "notes.txt",
    "old.qcow2.xz",
    "plus+sign.raw",
    "question?mark.qcow2",
    "with space.img",
];

fn url() -> Url {
    Url::parse("http://h/mirror/").unwrap()
}

fn listing(body: &str) -> Page {
    Page::read(&url(), format!("<title>Index of /mirror/</title>{body}").as_bytes()).unwrap()
}

#[test]
fn every_look_of_a_directory_names_the_same_files() {
    for (look, text) in PAGES {
        let page = Page::read(&Url::parse(&format!("http://h/{look}/")).unwrap(), text.as_bytes()).unwrap();
        assert_eq!(page.files.keys().collect::<Vec<_>>(), FILES, "{look}");
        assert!(page.folders.iter().eq(["sub", "sub dir"]), "{look}");
    }
}

#[test]
fn what_stands_beside_a_file_is_kept_if_it_tells_a_time() {
    for ((look, text), expected) in PAGES.iter().zip([
        None,
        Some("2024-03-20 10:00 4.8K"),
        Some("2024-03-20 10:00 4.8K"),
        Some("20-Mar-2024 10:00 4948"),
        None,
    ]) {
        let page = Page::read(&url(), text.as_bytes()).unwrap();
        assert_eq!(page.files["with space.img"].said.as_deref(), expected, "{look}");
        let exact = page.files["with space.img"].exact;
        assert_eq!(
            exact,
            (*look == "json").then(|| (4948, "2024-03-20T10:00:00Z".parse().unwrap())),
            "{look}"
        );
    }
}

#[test]
fn a_name_and_its_url_are_each_others() {
    for name in FILES {
        let below = url_of(&url(), ["sub dir", name]).unwrap();
        let below = below.as_str().strip_prefix("http://h/mirror/sub%20dir/").unwrap();
        assert!(below.is_ascii() && !below.contains(['?', '#', ' ', '/']), "{below}");
        assert_eq!(decoded(below).as_deref(), Some(*name));
    }
    for names in [&["..", "a"][..], &["a", "."], &["a/b"], &[""], &["a", "b\\c"]] {
        assert!(url_of(&url(), names.iter().copied()).is_err(), "{names:?}");
    }
}

#[test]
fn only_links_to_what_is_directly_below_count() {
    for (href, name) in [
        ("a", "a"),
        ("./a", "a"),
        ("./a:b", "a:b"),
        ("/mirror/a", "a"),
        (" a ", "a"),
        ("a&amp;b", "a&b"),
        ("a%2Eb", "a.b"),
        ("ü", "ü"),
        ("%C3%BC", "ü"),
    ] {
        let page = listing(&format!("<A HREF='{href}'>x</A>"));
        assert_eq!(page.files.keys().collect::<Vec<_>>(), [name], "{href}");
    }
    for href in [
        "",
        ".",
        "./",
        "..",
        "../",
        "../a",
        "/",
        "/a",
        "/mirror",
        "/mirror/",
        "//h/mirror/a",
        "http://h/mirror/a",
        "http://elsewhere/a",
        "https:a",
        "javascript:a",
        "mailto:a@b",
        "?C=M;O=A",
        "a?b",
        "#a",
        "a#b",
        "sub/a",
        "%2e%2e",
        "%2E%2E/",
        "..%2fa",
        "a%2fb",
        "a%5cb",
        "a\\b",
        "a%00",
        "a%0ab",
        "a%",
        "a%g0",
        "a%+1",
        "%ff",
    ] {
        assert_eq!(listing(&format!("<a href=\"{href}\">x</a>")), Page::default(), "{href}");
    }
    let long = "a".repeat(256);
    assert_eq!(listing(&format!("<a href='{long}'>x</a><a name='b'>b</a>")), Page::default());
}

#[test]
fn what_is_in_a_script_or_a_comment_is_no_link() {
    let page = listing("<script>'<a href=\"a\">'</script><!-- <a href='b'> --><style><a href='c'></style>");
    assert_eq!(page, Page::default());
}

#[test]
fn a_page_that_no_web_server_made_of_a_directory_is_refused() {
    for text in [
        "",
        "nothing",
        "<html><title>Welcome</title><a href='a.qcow2'>a</a><a href='../'>up</a></html>",
        "<h2>Index of /</h2><a href='a.qcow2'>a</a>",
        "{}",
        "[",
        "[1]",
        "[{\"name\": \"a\"}]",
    ] {
        assert!(Page::read(&url(), text.as_bytes()).is_err(), "{text}");
    }
    for text in [
        "<title>Index of /</title>",
        "<h1>Directory listing for /</h1>",
        "<a href='../'>../</a>",
        "<title>Noble</title><a href='?C=N;O=D'>Name</a>",
        "[]",
        " \n[]",
    ] {
        assert_eq!(Page::read(&url(), text.as_bytes()).unwrap(), Page::default(), "{text}");
    }
}

#[test]
fn names_that_are_not_utf8_and_entries_of_other_kinds_are_passed_over() {
    let json = b"[{\"name\":\"a\xff\",\"type\":\"file\"},{\"name\":\"s\",\"type\":\"other\"},{\"name\":\"../x\",\"type\":\"file\"},\
                 {\"name\":\"b\",\"type\":\"file\",\"size\":1}]";
    let page = Page::read(&url(), json).unwrap();
    assert_eq!(page.files, [(String::from("b"), Listed::default())].into());
    let html = b"<title>Index of /</title><a href=\"a\xff\">a</a>";
    assert_eq!(Page::read(&url(), html).unwrap(), Page::default());
}

#[test]
fn a_page_of_a_hundred_thousand_links_is_read_quickly() {
    let rows: String = (0..100_000).map(|n| format!("<a href=\"{n}.qcow2\">{n}</a> 1 09:48\n")).collect();
    let start = std::time::Instant::now();
    assert_eq!(listing(&rows).files.len(), 100_000);
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn of_directories_no_more_are_kept_than_are_ever_listed() {
    let names = || (0..100_000).rev().map(|n| format!("{n:05}"));
    let rows: String = names().map(|name| format!("<a href=\"{name}/\">{name}/</a>\n")).collect();
    let entries: Vec<_> =
        names().map(|name| serde_json::json!({"name": name, "type": "directory"})).collect();
    let json = serde_json::to_vec(&entries).unwrap();
    for page in [listing(&rows), Page::read(&url(), &json).unwrap()] {
        assert_eq!(page.folders.len(), MOST_FOLDERS);
    }
}
