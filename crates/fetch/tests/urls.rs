//! URLs that are written to deceive: the verdict on a host in any spelling is that on its address.

#![expect(clippy::unwrap_used, reason = "a test panics where something is not as it must be")]

use std::net::Ipv4Addr;

use image_service::ErrorKind;
use portico_fetch::{Fetcher, Settings};
use proptest::prelude::*;

fn fetcher() -> Fetcher {
    Fetcher::new(Settings::default()).unwrap()
}

/// Spellings of one address that parsers of URLs take for it.
fn spellings(address: u32) -> Vec<String> {
    let [a, b, c, d] = address.to_be_bytes();
    let dotted = Ipv4Addr::from(address).to_string();
    let last_two = address & 0xffff;
    let last_three = address & 0x00ff_ffff;
    vec![
        dotted.clone(),
        format!("{dotted}."),
        address.to_string(),
        format!("0x{address:x}"),
        format!("0X{address:X}"),
        format!("0{address:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a}.{last_three}"),
        format!("{a}.{b}.{last_two}"),
        format!("0x{a:02x}.{b}.0{last_two:o}"),
        dotted.replace('.', "%2e"),
        dotted.chars().map(|c| format!("%{:02x}", u32::from(c))).collect(),
        dotted.replace('1', "\u{2460}"),
        dotted.replace('.', "\u{3002}"),
        dotted.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c)).collect(),
        format!("[::ffff:{dotted}]"),
        format!("[::ffff:{:x}:{:x}]", address >> 16, last_two),
        format!("[0:0:0:0:0:ffff:{dotted}]"),
        format!("[64:ff9b::{dotted}]"),
    ]
}

proptest! {
    #[test]
    fn a_host_in_any_spelling_is_judged_as_its_address(address in any::<u32>()) {
        let fetcher = fetcher();
        let plain = fetcher.check(&format!("http://{}/x", Ipv4Addr::from(address))).is_ok();
        for spelling in spellings(address) {
            let verdict = fetcher.check(&format!("http://{spelling}/x")).is_ok();
            assert_eq!(verdict, plain, "{spelling} for {}", Ipv4Addr::from(address));
        }
    }
}

#[test]
fn nothing_that_leads_inwards_is_fetched_in_any_spelling() {
    let fetcher = fetcher();
    let mut checked = 0;
    for address in
        ["127.0.0.1", "10.1.1.1", "192.168.1.11", "169.254.169.254", "172.16.11.1", "0.0.0.0", "100.64.1.1"]
    {
        for spelling in spellings(u32::from(address.parse::<Ipv4Addr>().unwrap())) {
            for url in [
                format!("http://{spelling}/"),
                format!("https://{spelling}/"),
                format!("http://{spelling}:80/latest/meta-data/"),
                format!("HTTP://{spelling}"),
                format!("http:{spelling}/"),
                format!("http:/{spelling}/"),
                format!("http:\\\\{spelling}\\"),
            ] {
                let error = fetcher.check(&url).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
                checked += 1;
            }
        }
    }
    assert!(checked > 900, "{checked}");
}

#[test]
fn what_is_not_allowed_about_a_url_is_told() {
    let fetcher = fetcher();
    for (url, why) in [
        ("", "cannot be read"),
        ("nonsense", "cannot be read"),
        ("//example.org/x", "cannot be read"),
        ("http://", "cannot be read"),
        ("http://[fe80::1%25eth0]/", "cannot be read"),
        ("http://[::1", "cannot be read"),
        ("http://exa mple.org/", "blanks or control characters"),
        ("http://example.org/\r\nHost: x", "blanks or control characters"),
        ("ht\ntp://127.0.0.1/", "blanks or control characters"),
        (" http://example.org/", "blanks or control characters"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("ftp://example.org/x", "scheme 'ftp'"),
        ("gopher://example.org/x", "scheme 'gopher'"),
        ("data:text/plain,x", "scheme 'data'"),
        ("javascript:alert(1)", "scheme 'javascript'"),
        ("http://user@example.org/", "credentials"),
        ("http://user:secret@example.org/", "credentials"),
        ("http://example.org@127.0.0.1/", "credentials"),
        ("http://example.org:22/", "port 22"),
        ("http://example.org:8080/", "port 8080"),
        ("https://example.org:5000/", "port 5000"),
        ("http://[::1]/", "this host"),
        ("http://[::]/", "this host"),
        ("http://[fd00:ec2::254]/", "this host"),
        ("http://[2002:7f00:1::]/", "this host"),
        ("http://./", "this host"),
    ] {
        let error = fetcher.check(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
        assert!(error.message().contains(why), "{url:?}: {error}");
        assert!(!error.message().contains("secret"), "{error}");
    }
    for url in [
        "http://example.org/x",
        "https://example.org:443/x?y=z",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]/",
    ] {
        assert!(fetcher.check(url).is_ok(), "{url}");
    }
}

#[test]
fn lists_of_hosts_hold_for_names_and_addresses() {
    let settings = Settings {
        allow_hosts: vec![".example.org".into(), "8.8.8.8".into()],
        deny_hosts: vec!["evil.example.org".into()],
        ..Settings::default()
    };
    let fetcher = Fetcher::new(settings).unwrap();
    for (url, allowed) in [
        ("http://images.example.org/", true),
        ("http://IMAGES.example.org./", true),
        ("http://example.org/", false),
        ("http://evil.example.org/", false),
        ("http://evil.example.org./", false),
        ("http://example.com/", false),
        ("http://8.8.8.8/", true),
        ("http://134744072/", true),
        ("http://1.1.1.1/", false),
    ] {
        assert_eq!(fetcher.check(url).is_ok(), allowed, "{url}");
    }
}
