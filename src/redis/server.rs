//! What a server says of itself.

use std::collections::HashMap;

use fred::{
    interfaces::ClientLike,
    types::{ClusterHash, CustomCommand},
};

use super::{Redis, RedisError};

impl Redis {
    /// What INFO says, by name; in a cluster that of one of its servers.
    ///
    /// # Errors
    /// As any call.
    pub async fn server_info(&self) -> Result<HashMap<String, String>, RedisError> {
        let info: String = self.client.info(None).await?;
        let pairs = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The server's configuration of these names; what it does not know, or does not show, is left out.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn server_config(&self, names: &[&'static str]) -> Result<HashMap<String, String>, RedisError> {
        let mut known = HashMap::new();
        for name in names {
            let get = CustomCommand::new_static("CONFIG", ClusterHash::Random, false);
            let found: Result<HashMap<String, String>, _> = self.client.custom(get, vec!["GET", name]).await;
            match found.map_err(RedisError::from) {
                Err(error) if error.is_unreachable() => return Err(error),
                // Hosted servers often forbid CONFIG.
                Err(error) => tracing::debug!(%error, name, "CONFIG GET is refused"),
                Ok(found) => known.extend(found),
            }
        }
        Ok(known)
    }
}
