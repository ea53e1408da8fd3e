//! What systemd gives and is told: the socket, and how the service is.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{TOKEN, Watched, serve};
use crate::cli::serve::admit;
use crate::support::client::{Call, TRANSFER};
use crate::support::command::command;
use crate::support::process::ended_within;

const LIMIT: Duration = Duration::from_secs(30);

/// `kootask serve` with this listening socket, as systemd gives it: as the file
/// descriptor 3.
fn serve_on(socket: &TcpListener, store: &str) -> Command {
    let mut shell = command("sh");
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve";
    admit(&mut shell, TOKEN)
        .args(["-c", script, env!("CARGO_BIN_EXE_kootask")])
        .stdin(OwnedFd::from(socket.try_clone().unwrap()))
        // Not where the socket is.
        .env("KOOTASK__SERVER__LISTEN", "127.0.0.1:1")
        .env("KOOTASK__SERVER__OPS_LISTEN", "127.0.0.1:0")
        .env("KOOTASK__STORE__URL", store);
    shell
}

/// Creates tasks, one request a connection, until it is told to stop; how many.
async fn create_until(stop: Arc<AtomicBool>, address: SocketAddr) -> usize {
    let mut created = 0;
    while !stop.load(Ordering::Relaxed) {
        let answer = Call::create(address, TRANSFER).bearer(TOKEN).try_send();
        let answer = answer.await.expect("a request was refused or lost");
        answer.task_id();
        created += 1;
    }
    created
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_socket_activation_refuses_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}/kootask.db", folder.path().display());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut service = Watched::start(serve_on(&socket, &store));
    assert_eq!(service.address().await, address);
    let stop = Arc::<AtomicBool>::default();
    let clients: Vec<_> = (0..4)
        .map(|_| tokio::spawn(create_until(Arc::clone(&stop), address)))
        .collect();
    for _ in 0..3 {
        service.create().await;
        service.signal("TERM");
        let status = ended_within(&mut service.child, LIMIT).await;
        assert_eq!(status.code(), Some(0));
        service = Watched::start(serve_on(&socket, &store));
    }
    service.create().await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn systemd_is_told_of_the_start_a_reload_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let told = || {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let mut command = serve();
    command.env("NOTIFY_SOCKET", &path).stderr(Stdio::null());
    let mut service = Watched::start(command);
    assert_eq!(told().trim_end(), "READY=1");
    service.signal("HUP");
    let reloading = told();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told().trim_end(), "READY=1");
    service.signal("TERM");
    assert_eq!(told().trim_end(), "STOPPING=1");
    let status = ended_within(&mut service.child, LIMIT).await;
    assert_eq!(status.code(), Some(0));
}
