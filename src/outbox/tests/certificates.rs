//! Certificates that do not prove who the server is: nothing is sent, everything waits, the technician reads what to do,
//! and once it is mended all of it goes. A clock that jumped shows itself in the same way.

mod shared;

use outbox::{Client, FaultCode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use shared::{Daemon, Folder, Peer, socket, submission, until};
use std::path::Path;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{self, ServerConfig};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(file: &Path) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(file, authority.pem()).unwrap();
    authority
}

/// TLS before a peer, with a certificate for `name` that holds from one year to another. Returns its port.
fn tls_before(peer: &Peer, authority: &Authority, name: &str, from: i32, to: i32) -> u16 {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let behind = peer.base_url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut outer) = acceptor.accept(stream).await else { continue };
                let Ok(mut inner) = tokio::net::TcpStream::connect(&behind).await else { continue };
                let _ = copy_bidirectional(&mut outer, &mut inner).await;
            }
        });
    });
    port
}

#[test]
fn with_a_bad_certificate_everything_waits_with_words_for_the_technician_and_goes_when_it_is_mended() {
    let (folder, peer) = (Folder::new(), Peer::start());
    let ca = folder.0.join("ca.pem");
    let ours = authority(&ca);
    let theirs = authority(&folder.0.join("other.pem"));
    let client = Client::new(socket(&folder));
    let upload = |port: u16| {
        format!(
            "[upload]\nbase_url = \"https://localhost:{port}/fhir\"\nca_file = {ca:?}\nretry_first_ms = 10\n\
             retry_max_s = 1\n"
        )
    };
    // What a cabin sees whose clock is years ahead, or behind, is the same as these.
    let bad = [
        (tls_before(&peer, &ours, "localhost", 2001, 2002), "has expired"),
        (tls_before(&peer, &ours, "localhost", 2090, 2099), "clock is behind"),
        (tls_before(&peer, &ours, "elsewhere.example", 2001, 2099), "another server's"),
        (tls_before(&peer, &theirs, "localhost", 2001, 2099), "set `ca_file`"),
    ];
    for (n, (port, words)) in bad.into_iter().enumerate() {
        let daemon = Daemon::start(&folder, &upload(port));
        let name = format!("visit-{n}");
        client.begin().unwrap();
        client.submit(submission(&name, "patient", vec![])).unwrap();
        let mut said = String::new();
        until(words, || {
            let faults = client.status().map(|status| status.faults).unwrap_or_default();
            said = faults
                .into_iter()
                .find(|fault| fault.code == FaultCode::ServerUnreachable)
                .map_or(said.clone(), |f| f.detail);
            !said.is_empty()
        });
        assert!(said.contains(words), "{said:?} does not say {words:?}");
        assert_eq!(client.status().unwrap().waiting, n as u32 + 1);
        assert!(daemon.terminate().success());
    }
    assert!(peer.state().asked.is_empty(), "nothing was sent");
    let _daemon = Daemon::start(&folder, &upload(tls_before(&peer, &ours, "localhost", 2001, 2099)));
    until("an empty queue", || client.status().is_ok_and(|status| status.waiting == 0));
    let stored = peer.state().resources.iter().filter(|resource| resource["resourceType"] == "Encounter").count();
    assert_eq!(stored, 4);
    assert_eq!(client.status().unwrap().faults, vec![]);
}
