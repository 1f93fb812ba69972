//! The options of the channels, and the one place that knows every channel.

use std::{io, panic::resume_unwind, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, builder::RangedU64ValueParser};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;

use super::{
    Sender,
    file::FileSender,
    inbox::InboxSender,
    null::NullSender,
    signature::{SecretError, Signer},
    webhook::{WebhookSender, WebhookSettings},
};
use crate::{ids::Channel, stores::Stores};

/// More connections than this to one endpoint are no help: a machine has 28,000 local ports for them.
const CONNECTIONS_MAX: u64 = 16_384;

/// An hour: a lane that waits longer for one person is a stopped lane.
const SEND_TIMEOUT_MS_MAX: u64 = 60 * 60 * 1000;

/// The channels there are.
const CHANNELS: &str = "webhook, inbox, file, null";

/// How each channel reaches its provider. The URL and the secret are shown by neither `Debug` nor `--help`, and are
/// checked by [`ChannelOptions::build`] rather than by clap, which would repeat a wrong one.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Channels")]
pub struct ChannelOptions {
    /// Where the channel `webhook` posts, one request per person
    #[arg(long, env = "RESTOCK_WEBHOOK_URL", value_name = "URL", hide_env_values = true)]
    pub webhook_url: Option<SecretString>,

    /// Signs webhooks (Standard Webhooks): `whsec_` and base64; without it they are not signed
    #[arg(long, env = "RESTOCK_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub webhook_secret: Option<SecretString>,

    /// Where the channel `file` appends one line of JSON per person
    #[arg(long, env = "RESTOCK_FILE_PATH", value_name = "PATH", default_value = "restock.jsonl")]
    pub file_path: PathBuf,

    /// The most time of one attempt, to the end of the answer, in ms
    #[arg(long, env = "RESTOCK_SEND_TIMEOUT_MS", value_name = "MS", default_value_t = 10_000)]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(1..=SEND_TIMEOUT_MS_MAX))]
    pub send_timeout_ms: u64,

    /// The most webhook requests at once, in this process
    #[arg(long, env = "RESTOCK_CONNECTIONS_MAX", value_name = "N", default_value_t = 256)]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=CONNECTIONS_MAX))]
    pub connections_max: usize,
}

/// A channel that cannot be made. Says which option to change; shows neither URL nor secret.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// No such channel.
    #[error("there is no channel `{0}`; there are {CHANNELS}: see `restock-cli settings`")]
    Unknown(Channel),
    /// The channel `webhook` without an address.
    #[error("channel `webhook` needs --webhook-url (RESTOCK_WEBHOOK_URL)")]
    UrlMissing,
    /// An address that cannot be posted to.
    #[error(
        "--webhook-url (RESTOCK_WEBHOOK_URL) is not an http or https URL; give one such as https://shop.example/restock"
    )]
    UrlInvalid,
    /// A secret that cannot sign.
    #[error("--webhook-secret (RESTOCK_WEBHOOK_SECRET) cannot be used")]
    SecretInvalid(#[from] SecretError),
    /// The HTTP client cannot be made.
    #[error("channel `webhook` cannot be opened: are the system's CA certificates installed?")]
    Client(#[from] reqwest::Error),
    /// The file of the channel `file` cannot be opened.
    #[error("--file-path (RESTOCK_FILE_PATH) `{path}` cannot be opened for appending; give a file that this user may write", path = path.display())]
    File {
        /// The option's value.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ChannelOptions {
    /// Makes the sender of a channel. Opens its file; connects to nobody yet. A file takes as long to open as its disk likes, or whoever
    /// is to read the pipe that it is: all else goes on meanwhile, and whoever waits may give up.
    ///
    /// # Errors
    /// [`ChannelError`], at start rather than at the first person.
    pub async fn build_on(&self, stores: &Stores, channel: &Channel) -> Result<Arc<dyn Sender>, ChannelError> {
        if channel.as_str() == "inbox" {
            return Ok(Arc::new(InboxSender::start(stores, self.send_timeout())));
        }
        let (options, channel) = (self.clone(), channel.clone());
        let built = spawn_blocking(move || options.build(&channel)).await;
        built.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()))
    }

    /// The same for the channels that lead out of the deployment, and so need nothing of it: all but `inbox`. Must be called in a
    /// runtime, and may block.
    ///
    /// # Errors
    /// As [`ChannelOptions::build_on`].
    pub fn build(&self, channel: &Channel) -> Result<Arc<dyn Sender>, ChannelError> {
        match channel.as_str() {
            "webhook" => Ok(Arc::new(WebhookSender::new(self.webhook()?)?)),
            "file" => match FileSender::open(&self.file_path, self.send_timeout()) {
                Ok(sender) => Ok(Arc::new(sender)),
                Err(source) => Err(ChannelError::File { path: self.file_path.clone(), source }),
            },
            "null" => Ok(Arc::new(NullSender)),
            _ => Err(ChannelError::Unknown(channel.clone())),
        }
    }

    fn webhook(&self) -> Result<WebhookSettings, ChannelError> {
        // Compose files pass an unset variable on as an empty one.
        let url = self.webhook_url.as_ref().map(ExposeSecret::expose_secret).filter(|url| !url.is_empty());
        let url = Url::parse(url.ok_or(ChannelError::UrlMissing)?).map_err(|_| ChannelError::UrlInvalid)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ChannelError::UrlInvalid);
        }
        // A variable that is set to nothing, as a container's often is, is no secret.
        let secret = self.webhook_secret.as_ref().filter(|secret| !secret.expose_secret().is_empty());
        let signer = secret.map(Signer::parse).transpose()?;
        let (send_timeout, connections_max) = (self.send_timeout(), self.connections_max);
        Ok(WebhookSettings { url, signer, send_timeout, connections_max })
    }

    fn send_timeout(&self) -> Duration {
        Duration::from_millis(self.send_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        channels: ChannelOptions,
    }

    fn options(args: &[&str]) -> ChannelOptions {
        Program::try_parse_from([&["restock"], args].concat()).unwrap().channels
    }

    fn failure(channel: &str, args: &[&str]) -> String {
        let channel = channel.parse().unwrap();
        options(args).build(&channel).err().map(|error| error.to_string()).unwrap()
    }

    #[test]
    fn a_webhook_without_a_url_names_the_option() {
        for args in [&[][..], &["--webhook-url", ""]] {
            assert_eq!(failure("webhook", args), "channel `webhook` needs --webhook-url (RESTOCK_WEBHOOK_URL)");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_not_shown() {
        for url in ["hooks.test/abc", "ftp://hooks.test/abc", "https://", "not a url abc"] {
            let text = failure("webhook", &["--webhook-url", url]);
            assert!(text.contains("--webhook-url") && !text.contains("abc"), "{text}");
        }
        let text = failure("webhook", &["--webhook-url", "http://hooks.test", "--webhook-secret", "whsec_abc"]);
        assert!(text.contains("--webhook-secret") && !text.contains("abc"), "{text}");
        assert_eq!(
            failure("pigeon", &[]),
            "there is no channel `pigeon`; there are webhook, inbox, file, null: see `restock-cli settings`"
        );
    }

    #[test]
    fn a_directory_is_no_file_path() {
        let text = failure("file", &["--file-path", "/"]);
        assert_eq!(
            text,
            "--file-path (RESTOCK_FILE_PATH) `/` cannot be opened for appending; give a file that this user may write"
        );
    }

    #[test]
    fn debug_and_help_hide_url_and_secret() {
        let options = options(&["--webhook-url", "https://hooks.test/T0/KEY", "--webhook-secret", "whsec_S0FZ"]);
        let settings = options.webhook().unwrap();
        let shown = format!("{options:?} {settings:?} {:?}", WebhookSender::new(settings.clone()));
        for secret in ["hooks.test", "KEY", "S0FZ"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn limits_of_zero_are_refused() {
        for option in ["--connections-max", "--send-timeout-ms"] {
            assert!(Program::try_parse_from(["restock", option, "0"]).is_err(), "{option}");
        }
    }
}
