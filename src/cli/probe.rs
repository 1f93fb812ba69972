//! `restock-cli probe`: asks a running process whether it is ready, for images without a shell or curl.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;

use super::{
    exit::{Exit, Failure},
    output,
};

/// The most that an answer may take: more than a process takes to find out.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// Options of `probe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the process serves /readyz: its --metrics-listen, or --listen of the API
    #[arg(env = "RESTOCK_METRICS_LISTEN", default_value = "127.0.0.1:9464", value_name = "ADDRESS:PORT")]
    address: SocketAddr,
    /// Only ask whether it is alive, whatever its stores do
    #[arg(long)]
    live: bool,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<Exit> {
    let (address, path) = (reachable(args.address), if args.live { "livez" } else { "readyz" });
    // Without TLS there is no need of the system's roots.
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(ANSWER_MAX).build();
    let asked = client.context("cannot make an HTTP client")?.get(format!("http://{address}/{path}")).send().await;
    let Ok(answer) = asked else {
        let message =
            format!("nobody answers at {address}; give the process --metrics-listen, and `probe` that address");
        return Err(Failure::new(Exit::Unreachable, message).into());
    };
    let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
    if status.is_success() {
        output::line(body.trim_end())?;
        return Ok(Exit::Done);
    }
    let message = format!("the process at {address} answers {}: {}", status.as_u16(), body.trim_end());
    Err(Failure::new(Exit::Failure, message).into())
}

/// Who listens at every address of a machine is asked at its own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
