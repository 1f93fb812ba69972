//! A cluster of three masters with a replica each.

use futures_util::future::try_join_all;

use super::{
    LocalError, LocalRedis,
    port::Port,
    settle::{first_answer, replicated, until},
};

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
/// How long a node is silent before the others take it for dead.
const NODE_TIMEOUT_MS: u32 = 2_000;

/// A private cluster: a third of the slots on each of three masters, a replica behind each.
#[derive(Debug)]
pub struct LocalCluster {
    nodes: Vec<LocalRedis>,
    /// On which they hear each other.
    bus_ports: Vec<Port>,
}

/// A node as another one sees it, a line of CLUSTER NODES.
#[derive(Debug)]
struct Seen {
    id: String,
    port: u16,
    is_master: bool,
    has_failed: bool,
    master: String,
    slots: Vec<(usize, usize)>,
}

impl Seen {
    fn of(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let flags: Vec<&str> = words.get(2)?.split(',').collect();
        let range = |word: &&str| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        Some(Self {
            id: (*words.first()?).to_owned(),
            port: words.get(1)?.split('@').next()?.rsplit(':').next()?.parse().ok()?,
            is_master: flags.contains(&"master"),
            has_failed: flags.contains(&"fail"),
            master: (*words.get(3)?).to_owned(),
            slots: words.iter().skip(8).filter_map(range).collect(),
        })
    }
}

impl LocalCluster {
    /// Starts all six and waits until each of them finds the cluster whole.
    ///
    /// # Errors
    /// Redis is not installed or does not start, or the nodes do not find each other.
    pub async fn start() -> Result<Self, LocalError> {
        let node = || async {
            let bus_port = Port::find()?;
            let (bus, timeout_ms) = (bus_port.to_string(), NODE_TIMEOUT_MS.to_string());
            let own = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", &timeout_ms];
            // However far behind, a replica takes over: what is lost then is what the tests are about.
            let eager = ["--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no"];
            let own = own.into_iter().chain(eager).map(str::to_owned);
            let node = LocalRedis::start_with(replicated().into_iter().chain(own).collect()).await?;
            Ok::<_, LocalError>((node, bus_port))
        };
        let (nodes, bus_ports) = try_join_all((0..2 * MASTERS).map(|_| node())).await?.into_iter().unzip();
        let cluster = Self { nodes, bus_ports };
        cluster.introduce().await?;
        Ok(cluster)
    }

    async fn introduce(&self) -> Result<(), LocalError> {
        let (masters, replicas) = self.nodes.split_at(MASTERS);
        for (at, master) in masters.iter().enumerate() {
            let (first, last) = (at * SLOTS / MASTERS, (at + 1) * SLOTS / MASTERS - 1);
            master.command(&format!("CLUSTER ADDSLOTSRANGE {first} {last}")).await?;
            master.command(&format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1)).await?;
        }
        for (node, bus_port) in self.nodes.iter().zip(&self.bus_ports).skip(1) {
            self.nodes[0].command(&format!("CLUSTER MEET 127.0.0.1 {} {bus_port}", node.port())).await?;
        }
        self.all("all nodes know each other", |info| info.contains(&format!("cluster_known_nodes:{}", 2 * MASTERS)))
            .await?;
        for (replica, master) in replicas.iter().zip(masters) {
            let id = master.command("CLUSTER MYID").await?;
            let id = id.lines().nth(1).unwrap_or_default();
            replica.command(&format!("CLUSTER REPLICATE {id}")).await?;
        }
        self.all("all nodes find the cluster whole", |info| info.contains("cluster_state:ok")).await?;
        until("all nodes know all replicas, and these follow", || async {
            for node in &self.nodes {
                let seen = Self::seen_by(node).await?;
                if seen.iter().filter(|node| node.is_master).count() != MASTERS {
                    return Ok(false);
                }
            }
            for replica in replicas {
                if !replica.is_following().await? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    async fn all(&self, what: &'static str, holds: impl Fn(&str) -> bool) -> Result<(), LocalError> {
        let holds = &holds;
        until(what, || async move {
            for node in &self.nodes {
                if !holds(&node.command("CLUSTER INFO").await?) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    async fn seen_by(node: &LocalRedis) -> Result<Vec<Seen>, LocalError> {
        Ok(node.command("CLUSTER NODES").await?.lines().filter_map(Seen::of).collect())
    }

    /// What the first node says that answers.
    async fn ask(&self, command: &str) -> Result<String, LocalError> {
        let running = self.nodes.iter().filter(|node| node.pid().is_some());
        first_answer(running, command, "a node that answers").await
    }

    /// `redis-cluster://127.0.0.1:PORT?node=…`, with all nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let mut ports = self.nodes.iter().map(|node| node.port());
        let first = ports.next().unwrap_or_default();
        let others: Vec<String> = ports.map(|port| format!("node=127.0.0.1:{port}")).collect();
        format!("redis-cluster://127.0.0.1:{first}?{}", others.join("&"))
    }

    /// All six.
    #[must_use]
    pub fn nodes(&self) -> &[LocalRedis] {
        &self.nodes
    }

    /// The master that now has this key, and a replica of it, if it has one.
    ///
    /// # Errors
    /// No node answers, or nobody has the key.
    pub async fn owner(&self, key: &str) -> Result<(&LocalRedis, Option<&LocalRedis>), LocalError> {
        let slot = self.ask(&format!("CLUSTER KEYSLOT {key}")).await?;
        let slot: usize = slot.lines().next().unwrap_or_default().trim_start_matches(':').parse().unwrap_or(SLOTS);
        let seen: Vec<Seen> = self.ask("CLUSTER NODES").await?.lines().filter_map(Seen::of).collect();
        let owns = |node: &&Seen| node.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot));
        let master = seen.iter().filter(|node| node.is_master && !node.has_failed).find(owns);
        let node = |port: u16| self.nodes.iter().find(|node| node.port() == port);
        let found = master.and_then(|master| {
            let replica = seen.iter().find(|node| !node.has_failed && node.master == master.id);
            Some((node(master.port)?, replica.and_then(|replica| node(replica.port))))
        });
        found.ok_or(LocalError::Unsettled { what: "a master that has the key", within: std::time::Duration::ZERO })
    }

    /// Waits until another master than this one has the key.
    ///
    /// # Errors
    /// None has within a minute.
    pub async fn replaced(&self, gone: &LocalRedis, key: &str) -> Result<(), LocalError> {
        until("another master has the key", || async { Ok(self.owner(key).await?.0.port() != gone.port()) }).await
    }
}
