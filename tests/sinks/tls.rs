//! HTTPS: whose certificate is trusted.

use std::sync::Arc;
use std::thread;

use login_tracer::config::{self, Authority, Secret};
use login_tracer::notify::outcome::Outcome;
use login_tracer::notify::sink::Report;
use login_tracer::notify::sink::http::{Clients, Http};
use login_tracer::notify::sink::webhook::Webhook;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::Certificates;
use crate::over_http::Then;
use crate::scene::{Strangers, opened, send, settings};

/// A server that takes everything; its port.
fn server(certificates: &Certificates) -> u16 {
    let certificate = CertificateDer::from_pem_file(certificates.path("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.path("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (listener, acceptor) =
                (tokio::net::TcpListener::from_std(listener).unwrap(), TlsAcceptor::from(Arc::new(config)));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not trust us says so and goes.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut buffer = [0; 65_536];
                if stream.read(&mut buffer).await.is_ok() {
                    let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            }
        });
    });
    port
}

fn tell(host: &str, port: u16, ca: Option<Authority>) -> Report {
    let http = config::Http { ca, ..settings() };
    let url = Secret::new(format!("https://{host}:{port}/logins"));
    let config = config::Webhook { url, secret: None, http };
    let sink = Http::new(Webhook::new(&config), &config.http, &Clients::new()).unwrap();
    send(&sink, &opened(&Strangers::polite(), 1))
}

#[test]
fn an_own_authority_is_trusted_where_it_is_configured() {
    let Some(certificates) = Certificates::new() else {
        assert!(std::env::var_os("LOGIN_TRACER_REQUIRE_ALL").is_none(), "there is no openssl");
        return;
    };
    let port = server(&certificates);
    assert_eq!(tell("localhost", port, Some(certificates.authority())).outcome, Outcome::Delivered);
    // Nobody vouches for it; somebody vouches for another name.
    for (host, ca) in [("localhost", None), ("127.0.0.2", Some(certificates.authority()))] {
        let report = tell(host, port, ca);
        assert_eq!(Then::from(&report.outcome), Then::Again(None), "{report:?}");
        assert!(format!("{report:?}").contains("certificate") || host == "127.0.0.2", "{report:?}");
    }
}
