//! Behind the reverse proxies of `deploy`, as they are configured there.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use kootask::api;
use serde_json::Value;
use tempfile::TempDir;

use super::{Watched, serve};
use crate::support::client::{Call, TRANSFER, USER};
use crate::support::command::command;
use crate::support::until;

const HAPROXY: &str = include_str!("../../deploy/haproxy/haproxy.cfg");
const NGINX: &str = include_str!("../../deploy/nginx/kootask.conf");
/// Whom the proxies have requests from. They themselves are at 127.0.0.1.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const APP: &str = "an-app";
const SECRET: &str = "a secret of an app";

/// A proxy before a service; gone with it.
struct Proxy {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Proxy {
    /// Starts what `program` makes of the configuration that `text` makes, given a port.
    async fn start(text: impl Fn(u16) -> String, program: impl Fn(&TempDir) -> Command) -> Self {
        // Somebody else may take the port in between.
        for _ in 0..5 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            let folder = TempDir::new().unwrap();
            fs::write(folder.path().join("proxy.conf"), text(address.port())).unwrap();
            drop(free);
            let process = program(&folder).stdin(Stdio::null()).spawn();
            let mut proxy = Self {
                process: process.expect("the tests need haproxy and nginx"),
                address,
                _folder: folder,
            };
            let mut is_up = false;
            until("the proxy is up, or has ended", async || {
                is_up = TcpStream::connect(address).is_ok();
                is_up || proxy.process.try_wait().unwrap().is_some()
            })
            .await;
            if is_up {
                return proxy;
            }
        }
        panic!("the proxy does not start");
    }

    async fn haproxy(service: SocketAddr, ops: SocketAddr) -> Self {
        let text = |port| {
            let text = HAPROXY
                .replace("bind :80\n", &format!("bind 127.0.0.1:{port}\n"))
                .replace("check port 8081 ", &format!("check port {} ", ops.port()));
            before(service, &text)
        };
        let program = |folder: &TempDir| {
            let mut program = command("/usr/sbin/haproxy");
            program
                .arg("-db")
                .arg("-f")
                .arg(folder.path().join("proxy.conf"));
            program
        };
        Self::start(text, program).await
    }

    async fn nginx(service: SocketAddr) -> Self {
        let text = |port| {
            let text = NGINX.replace("listen 80;", &format!("listen 127.0.0.1:{port};"));
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let temporary = temporary.map(|kind| format!("{kind}_temp_path {kind};\n"));
            format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n\
                 events {{}}\nhttp {{\naccess_log off;\n{}{}}}\n",
                temporary.concat(),
                before(service, &text)
            )
        };
        let program = |folder: &TempDir| {
            let mut program = command("/usr/sbin/nginx");
            program
                .arg("-p")
                .arg(folder.path())
                .args(["-c", "proxy.conf"]);
            program.args(["-e", "stderr"]);
            program
        };
        Self::start(text, program).await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The configuration with this service in place of each instance.
fn before(service: SocketAddr, text: &str) -> String {
    let instances = ["kootask-1", "kootask-2", "kootask-3"].map(|name| format!("{name}:8080"));
    instances.iter().fold(text.to_owned(), |text, instance| {
        assert!(text.contains(instance.as_str()), "{instance}: {text}");
        text.replace(instance.as_str(), &service.to_string())
    })
}

/// A service that takes the word of proxies at 127.0.0.1.
fn service() -> Watched {
    let mut command = serve();
    command
        .env("KOOTASK__SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .env("KOOTASK__AUTH__APPS__0__APP_ID", APP)
        .env("KOOTASK__AUTH__APPS__0__TENANT_ID", "my-company")
        .env("KOOTASK__AUTH__APPS__0__APP_SECRET", SECRET);
    Watched::start(command)
}

/// The log's line of the request with this trace id, once it is there.
async fn logged(service: &Watched, trace_id: &str) -> Value {
    let find = || {
        let lines = service.lines.lock().unwrap();
        let mut lines = lines.iter();
        lines.find(|line| line["trace_id"] == trace_id).cloned()
    };
    until("the line of the request", async || find().is_some()).await;
    find().unwrap()
}

/// Whoever else a client says to be, and with signatures that stay good.
async fn the_log_names_the_client(service: &Watched, proxy: &Proxy) {
    let client = reqwest::Client::builder().no_proxy().local_address(CLIENT);
    let client = client.build().unwrap();
    let list = format!("{}?pageSize=1&status=0", api::LIST);
    for (said, header) in [
        ("nothing", None),
        ("x-forwarded-for", Some(("X-Forwarded-For", "192.0.2.1"))),
        ("forwarded", Some(("Forwarded", "for=192.0.2.1"))),
    ] {
        let read = Call::new(proxy.address, "GET", &list)
            .header("X-User-Id", USER)
            .at(jiff::Timestamp::now());
        for (kind, call) in [
            ("create", Call::create(proxy.address, TRANSFER)),
            ("list", read),
        ] {
            let trace_id = format!("{kind}-{said}");
            let mut call = call.signed(APP, SECRET).header("X-Traceid", &trace_id);
            if let Some((name, value)) = header {
                call = call.header(name, value);
            }
            let answer = call.send_by(&client).await.unwrap();
            assert_eq!(answer.status(), 200, "{trace_id}");
            let line = logged(service, &trace_id).await;
            assert_eq!(line["peer"], CLIENT.to_string(), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_client_of_haproxy() {
    let service = service();
    let proxy = Proxy::haproxy(service.address().await, service.ops).await;
    the_log_names_the_client(&service, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_client_of_nginx() {
    let service = service();
    let proxy = Proxy::nginx(service.address().await).await;
    the_log_names_the_client(&service, &proxy).await;
}
