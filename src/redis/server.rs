//! What a server says of itself.

use std::collections::HashMap;

use fred::{
    interfaces::ClientLike,
    types::{ClusterHash, CustomCommand},
};

use super::{Redis, RedisError};

/// What one server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// Which of a cluster's masters it is; `None` for the only server, or for the one that sentinels name.
    pub node: Option<String>,
    /// What INFO says, by name.
    pub info: HashMap<String, String>,
    /// The configuration that was asked for; what it does not know, or does not show, is left out.
    pub config: HashMap<String, String>,
}

impl Redis {
    /// What each server says of itself that this connection writes to, with its configuration of these names.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn servers(&self, names: &[&'static str]) -> Result<Vec<ServerFacts>, RedisError> {
        if !self.client.is_clustered() {
            return Ok(vec![facts(&self.client, names).await?]);
        }
        let mut nodes: Vec<(String, _)> =
            self.client.active_connections().into_iter().map(|node| (node.to_string(), node)).collect();
        nodes.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut servers = Vec::with_capacity(nodes.len());
        for (name, node) in nodes {
            let facts = facts(&self.client.with_cluster_node(node), names).await?;
            servers.push(ServerFacts { node: Some(name), ..facts });
        }
        Ok(servers)
    }
}

async fn facts<C: ClientLike>(client: &C, names: &[&'static str]) -> Result<ServerFacts, RedisError> {
    let info: String = client.info(None).await?;
    let pairs = info.lines().filter_map(|line| line.trim_end().split_once(':'));
    let info = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut config = HashMap::new();
    for name in names {
        let get = CustomCommand::new_static("CONFIG", ClusterHash::Random, false);
        let found: Result<HashMap<String, String>, _> = client.custom(get, vec!["GET", name]).await;
        match found.map_err(RedisError::from) {
            Err(error) if error.is_unreachable() => return Err(error),
            // Hosted servers often forbid CONFIG.
            Err(error) => tracing::debug!(%error, name, "CONFIG GET is refused"),
            Ok(found) => config.extend(found),
        }
    }
    Ok(ServerFacts { node: None, info, config })
}
