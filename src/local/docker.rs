//! A server in a container, for machines that have Docker and not the program.

use std::{fs, time::Duration};

use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt, TestcontainersError,
    core::{ContainerPort, IntoContainerPort},
    runners::AsyncRunner,
};
use tokio::runtime::Handle;

use super::{LocalError, home::Home, redis};

/// Pulling the image is part of it.
const START_MAX: Duration = Duration::from_secs(600);

/// Which image, and how it is started.
#[derive(Debug, Clone, Copy)]
pub(super) enum Image {
    Redis,
    MariaDb,
}

impl Image {
    fn request(self) -> (ContainerPort, ContainerRequest<GenericImage>) {
        match self {
            Self::Redis => (
                6379.tcp(),
                GenericImage::new("redis", "7")
                    .with_exposed_port(6379.tcp())
                    .with_cmd(std::iter::once("redis-server").chain(redis::SETTINGS.iter().copied())),
            ),
            Self::MariaDb => (
                3306.tcp(),
                GenericImage::new("mariadb", "lts")
                    .with_exposed_port(3306.tcp())
                    .with_cmd(["--skip-name-resolve", "--local-infile=1", "--max-connections=500"])
                    .with_env_var("MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", "1"),
            ),
        }
    }
}

/// A container and the folder whose watchdog removes it (with the `docker` program) when we cannot.
#[derive(Debug)]
pub(super) struct Container {
    container: Option<ContainerAsync<GenericImage>>,
    _home: Home,
}

impl Container {
    /// Starts a container whose server is reached on 127.0.0.1:`port`, and nowhere else.
    pub(super) async fn start(image: Image, port: u16) -> Result<Self, LocalError> {
        let home = Home::create()?;
        let name = format!("restock-local-{:016x}", rand::random::<u64>());
        let note = home.file("container");
        fs::write(&note, format!("{name}\n")).map_err(LocalError::io("write", &note))?;
        let (inner_port, request) = image.request();
        let container = request
            .with_container_name(name)
            .with_mapped_port(port, inner_port)
            // Docker's own default is every interface of the machine, and this server has no password.
            .with_host_config_modifier(|host| {
                for binding in host.port_bindings.iter_mut().flat_map(|ports| ports.values_mut().flatten().flatten()) {
                    binding.host_ip = Some("127.0.0.1".to_owned());
                }
            })
            .with_startup_timeout(START_MAX)
            .start()
            .await
            .map_err(docker("start a container"))?;
        Ok(Self { container: Some(container), _home: home })
    }

    fn inner(&self) -> Result<&ContainerAsync<GenericImage>, LocalError> {
        self.container.as_ref().ok_or(LocalError::Stopped { server: "the container" })
    }

    pub(super) async fn stop(&self, within: Duration) -> Result<(), LocalError> {
        let seconds = i32::try_from(within.as_secs()).unwrap_or(i32::MAX);
        self.inner()?.stop_with_timeout(Some(seconds)).await.map_err(docker("stop a container"))
    }

    pub(super) async fn start_again(&self) -> Result<(), LocalError> {
        self.inner()?.start().await.map_err(docker("start a container again"))
    }

    pub(super) async fn freeze(&self) -> Result<(), LocalError> {
        self.inner()?.pause().await.map_err(docker("pause a container"))
    }

    pub(super) async fn thaw(&self) -> Result<(), LocalError> {
        self.inner()?.unpause().await.map_err(docker("unpause a container"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Its own drop needs a runtime; without one the watchdog does the work.
        if Handle::try_current().is_err() {
            std::mem::forget(self.container.take());
        }
    }
}

fn docker(doing: &'static str) -> impl FnOnce(TestcontainersError) -> LocalError {
    move |source| LocalError::Docker { doing, source: Box::new(source) }
}
