//! Headers, bodies and wrappers say the same.

use std::collections::BTreeSet;

use super::*;

fn all() -> Vec<&'static Script> {
    vec![
        &advance::SCRIPT,
        &begin::SCRIPT,
        &bury::SCRIPT,
        &cancel::SCRIPT,
        &drop_consumer::SCRIPT,
        &enqueue::SCRIPT,
        &evict::SCRIPT,
        &finish::SCRIPT,
        &forget::SCRIPT,
        &hydrate::SCRIPT,
        &pause::SCRIPT,
        &reclaim::SCRIPT,
        &release::SCRIPT,
        &relog::SCRIPT,
        &renew::SCRIPT,
        &requeue::SCRIPT,
        &reserve_pace::SCRIPT,
        &resume::SCRIPT,
        &stock::SCRIPT,
        &take::SCRIPT,
        &trim::SCRIPT,
    ]
}

fn header(script: &Script) -> Vec<&str> {
    script.source.lines().take_while(|line| line.starts_with("--")).collect()
}

/// The arity that a header lists: `KEYS[1]`, `KEYS[2]`, …, and `KEYS[3..]` for what comes once per channel.
fn listed(script: &Script, what: &str) -> (usize, bool) {
    let prefix = format!("-- {what}[");
    let names: Vec<&str> = header(script)
        .into_iter()
        .filter_map(|line| line.strip_prefix(&prefix)?.split_once(']').map(|(number, _)| number))
        .collect();
    for (number, name) in (1..).zip(&names) {
        assert_eq!(name.trim_end_matches("..").parse(), Ok(number), "{}.lua lists {what}[{name}]", script.name);
    }
    let each = names.last().is_some_and(|name| name.ends_with(".."));
    (names.len() - usize::from(each), each)
}

/// The greatest literal index of `what` in the code.
fn greatest_index(code: &str, what: &str) -> usize {
    let literal = |part: &str| part.split_once(']').and_then(|(number, _)| number.parse().ok());
    code.split(&format!("{what}[")).skip(1).filter_map(literal).max().unwrap_or(0)
}

#[test]
fn every_script_file_has_a_wrapper_of_its_name() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/lua");
    let files: BTreeSet<String> = std::fs::read_dir(dir)
        .expect("the folder of the scripts")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".lua").map(str::to_owned))
        .collect();
    assert_eq!(files, all().into_iter().map(|script| script.name.to_owned()).collect());
}

#[test]
fn headers_and_wrappers_count_the_same_keys_and_arguments() {
    for script in all() {
        for (what, arity) in [("KEYS", script.keys), ("ARGV", script.args)] {
            let given = (arity.base, arity.each > 0);
            assert_eq!(listed(script, what), given, "{what} of {}.lua", script.name);
            let code = expand(script.source);
            let limit = arity.base + arity.each;
            assert!(greatest_index(&code, what) <= limit, "{}.lua uses more {what} than it lists", script.name);
        }
    }
}

#[test]
fn headers_and_wrappers_list_the_same_replies() {
    for script in all() {
        let listed: BTreeSet<&str> = header(script)
            .into_iter()
            .filter_map(|line| line.strip_prefix("-- Reply ")?.split_whitespace().next())
            .collect();
        assert_eq!(listed, script.replies.iter().copied().collect(), "{}.lua", script.name);
    }
}

#[test]
fn every_header_says_purpose_invariant_and_cost() {
    for script in all() {
        let header = header(script);
        assert!(header[0].len() > 20, "{}.lua opens with its purpose", script.name);
        for word in ["-- Invariant: ", "-- Cost: "] {
            assert!(header.iter().any(|line| line.starts_with(word)), "{}.lua lacks `{word}`", script.name);
        }
    }
}

#[test]
fn every_include_is_known_and_every_variable_is_local() {
    for script in all() {
        for name in script.source.lines().filter_map(|line| line.strip_prefix("-- include ")) {
            assert!(SHARED.iter().any(|(file, _)| *file == name), "{}.lua includes {name}", script.name);
        }
        for line in expand(script.source).lines() {
            assert!(!line.starts_with("function "), "{}.lua: a global function: {line}", script.name);
        }
    }
}

/// One that is not would be nil in a comparison, and nobody would see it.
#[test]
fn every_field_of_a_lane_is_among_those_that_are_empty_where_it_is_absent() {
    let name = |text: &'static str| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or("");
    let (_, pieces) = SHARED.iter().find(|(file, _)| *file == "shared/lane.lua").expect("it is there");
    let (_, known) = pieces.split_once("local function no_fields()").expect("lane.lua lists them");
    let (known, _) = known.split_once("\nend").expect("the function ends");
    let known: BTreeSet<&str> =
        known.split(['{', ',']).filter_map(|field| Some(field.split_once(" = ''")?.0.trim())).collect();
    assert!(known.contains("status"), "{known:?}");
    let texts = all().into_iter().map(|script| script.source).chain(SHARED.iter().map(|(_, text)| *text));
    for line in texts.flat_map(str::lines).filter(|line| !line.trim_start().starts_with("--")) {
        for way in ["lane.fields.", " f.", "#f.", "put(lane, '", "reset(lane, '", "count(lane, '", "counted(lane, '"] {
            for used in line.split(way).skip(1).map(name) {
                assert!(known.contains(used), "`{used}` is not in no_fields() of shared/lane.lua: {line}");
            }
        }
    }
}

/// What Lua itself brings; `redis.call` and the like have a dot before the name.
const BUILT_IN: [&str; 10] = ["tonumber", "type", "ipairs", "pairs", "pcall", "unpack", "function", "and", "or", "not"];

/// Lua finds out at run time only, in the one branch that calls it.
#[test]
fn every_function_is_defined_before_it_is_called() {
    for script in all() {
        let mut defined: BTreeSet<&str> = BUILT_IN.into();
        let code = expand(script.source);
        for line in code.lines() {
            let definition = line.trim_start().strip_prefix("local function ");
            defined.extend(definition.and_then(|rest| rest.split('(').next()));
            for (at, _) in line.match_indices('(') {
                let before = &line[..at];
                let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or("");
                let is_method = before.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
                let is_text = line[..at].matches('\'').count() % 2 == 1;
                assert!(
                    name.is_empty() || is_method || is_text || defined.contains(name) || name == "if",
                    "{}.lua calls {name}, which is not defined before: {line}",
                    script.name
                );
            }
        }
    }
}
