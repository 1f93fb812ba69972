//! A program of ours as a process that ends with this one.

use std::process::Command;

use super::{LocalError, home::Home, process::Process};

/// A running program in a process group of its own, with its output in a log. Dropping it kills the program; so does the
/// end of this process, however it comes about.
#[derive(Debug)]
pub struct Companion(Process);

impl Companion {
    /// Starts a program with the arguments and the environment of `command`; `name` stands for it in messages.
    ///
    /// # Errors
    /// No folder can be made for it, or the program cannot be started.
    pub fn start(name: &'static str, command: &Command) -> Result<Self, LocalError> {
        let process = Process::new(name, Home::create()?);
        process.spawn(command)?;
        Ok(Self(process))
    }

    /// The program's process id.
    ///
    /// # Errors
    /// It has ended, by itself or by [`Companion::kill`]; the message has the end of its log.
    pub fn check_running(&self) -> Result<u32, LocalError> {
        self.0.check_running()
    }

    /// Ends the program with SIGKILL and waits for its end.
    pub fn kill(&self) {
        self.0.kill();
    }
}
