//! The program speaking HTTPS.

use super::authority::{Authority, Pair};
use super::{Directory, FREE_PORTS, Service};

const TLS: &str = "[tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";

fn put(directory: &Directory, pair: &Pair) {
    directory.write("certificate.pem", &pair.certificate);
    directory.write("key.pem", &pair.key);
}

fn client(authority: &Authority, service: &Service) -> reqwest::Client {
    let certificate = reqwest::Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    // Another test may have chosen it already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([certificate]);
    builder.resolve("images.test", service.address).build().unwrap()
}

#[tokio::test]
async fn it_serves_https_with_links_that_say_so_and_takes_another_certificate_on_sighup() {
    let (old, new, directory) = (Authority::new(), Authority::new(), Directory::new());
    put(&directory, &old.certify("images.test"));
    let backend = super::BACKEND;
    directory.write("portico.toml", &format!("{FREE_PORTS}{TLS}look = \"1day\"\n{backend}"));
    let mut service = Service::start_until(directory, "listening on https://");
    let url = format!("https://images.test:{}/", service.address.port());
    let answer = client(&old, &service).get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 300);
    let document: serde_json::Value = answer.json().await.unwrap();
    let link = document["versions"][0]["links"][0]["href"].as_str().unwrap();
    assert_eq!(link, format!("{url}v2/"));

    put(&service.directory, &new.certify("images.test"));
    service.signal("HUP");
    service.until("the certificate is read again");
    assert_eq!(client(&new, &service).get(&url).send().await.unwrap().status(), 300);
    assert!(client(&old, &service).get(&url).send().await.is_err());
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_with_its_key_and_line() {
    let (authority, directory) = (Authority::new(), Directory::new());
    let pair = Pair { key: authority.certify("a").key, ..authority.certify("a") };
    put(&directory, &pair);
    directory.write("portico.toml", &format!("{FREE_PORTS}{TLS}{}", super::BACKEND));
    for arguments in [&["check", "--config", "portico.toml"][..], &["--config", "portico.toml"]] {
        let output = directory.run(arguments);
        assert_eq!(output.status.code(), Some(64));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(told, "portico.toml:5: tls.key: 'key.pem' is not the key of the certificate\n");
    }
    directory.write("portico.toml", &format!("{FREE_PORTS}[tls]\nkey = \"key.pem\"\n{}", super::BACKEND));
    let told = String::from_utf8(directory.run(&["check", "--config", "portico.toml"]).stderr).unwrap();
    assert_eq!(told, "portico.toml:4: tls.key: needs tls.certificate beside it\n");
}
