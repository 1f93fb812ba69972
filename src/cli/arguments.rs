//! The arguments of a program: what they ask for, or one line that says what is wrong with them.

use std::{
    env,
    ffi::{OsStr, OsString},
    process,
};

use clap::{
    ArgMatches, Command, Error, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    exit::{Exit, one_line},
    output,
};

/// Reads the arguments of this process. `--help` and `--version` end it with 0; what makes no sense ends it with
/// [`Exit::Usage`] and one line on stderr, which never repeats a URL or a webhook secret.
#[must_use]
pub fn parse<P: Parser>() -> P {
    parse_with(P::command()).0
}

/// As [`parse`], for a command line that was made of `P`; answers where each value came from, too.
#[must_use]
pub fn parse_with<P: Parser>(mut command: Command) -> (P, ArgMatches) {
    let arguments: Vec<OsString> = env::args_os().collect();
    let parsed = command.try_get_matches_from_mut(&arguments).and_then(|matches| {
        let given = P::from_arg_matches(&matches)?;
        Ok((given, matches))
    });
    parsed.unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        command.build();
        output::note(&format!("{}: {}", command.get_name(), explain(&command, &arguments, &error)));
        process::exit(Exit::Usage as i32)
    })
}

fn explain(command: &Command, arguments: &[OsString], error: &Error) -> String {
    let asked = asked(command, arguments);
    let help = format!("{} --help", asked.get_bin_name().unwrap_or_else(|| asked.get_name()));
    if matches!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand) {
        return format!("no command is given; `{help}` lists them");
    }
    let text = error.render().to_string();
    let what: Vec<String> = text
        .split("\n\n")
        .filter(|part| !part.starts_with("Usage:") && !part.starts_with("For more information"))
        .map(|part| without_secrets(one_line(part).trim_start_matches("error: ")))
        .collect();
    let source = variable(asked, arguments, error).map(|name| format!(" (from {name})")).unwrap_or_default();
    format!("{}{source}; see `{help}`", what.join("; "))
}

/// The innermost subcommand that the arguments name.
fn asked<'a>(command: &'a Command, arguments: &[OsString]) -> &'a Command {
    arguments.iter().skip(1).fold(command, |asked, argument| asked.find_subcommand(argument).unwrap_or(asked))
}

/// The environment variable that the refused value came from, unless its option was given.
fn variable(asked: &Command, arguments: &[OsString], error: &Error) -> Option<String> {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let option = asked.get_arguments().find(|option| option.to_string() == *shown)?;
    let flag = format!("--{}", option.get_long()?);
    let is_given = |argument: &OsString| argument.to_string_lossy().split('=').next() == Some(&flag);
    let name = option.get_env().filter(|name| env::var_os(name).is_some())?;
    (!arguments.iter().any(is_given)).then(|| OsStr::to_string_lossy(name).into_owned())
}

/// What was given in the wrong place may be an address with a password in it.
fn without_secrets(text: &str) -> String {
    let is_secret = |word: &str| word.contains("://") || word.contains("whsec_");
    let words: Vec<&str> = text.split(' ').map(|word| if is_secret(word) { "'…'" } else { word }).collect();
    words.join(" ")
}
