use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{Peer, free_address, on_core};
use crate::BoxError;

/// Starts nginx with one worker, which keeps its connections and hands on what comes as it comes.
pub(crate) fn nginx(core: usize, mock: [SocketAddr; 2]) -> Result<Peer, BoxError> {
    let (at, files) = (free_address()?, tempfile::tempdir()?);
    let config = files.path().join("nginx.conf");
    fs::write(&config, configuration(at, mock))?;
    let mut command = on_core(core, Path::new("nginx"));
    command.arg("-p").arg(files.path()).arg("-c").arg(&config);
    Peer::start(command, at, files)
}

/// All paths are relative to its prefix, a folder of its own.
fn configuration(at: SocketAddr, [a, b]: [SocketAddr; 2]) -> String {
    format!(
        "worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream mock {{
        server {a};
        server {b};
        keepalive 512;
        keepalive_requests 100000000;
    }}
    server {{
        listen {at};
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
    )
}
