//! `rules`, `explain` and `assess`: what makes a login risky, and how it was found.

use std::fmt::Write as _;
use std::fs;

use expect_test::expect_file;
use serde_json::Value;

use crate::fixture::State;

#[test]
fn pages_about_risk() {
    let state = State::with_examples();
    // What is asked by hand is asked now, when the examples are history of ever more days.
    let empty = State::empty();
    empty.write(&[]);
    let mut golden = String::new();
    for (state, arguments) in [
        (&state, &["rules"][..]),
        (&state, &["explain", "2"]),
        (&state, &["explain", "4"]),
        (&state, &["assess", "--replay"]),
        (&state, &["assess", "--replay", "--user", "nobody-has-this-name"]),
        (&empty, &["assess", "10.1.2.3", "--offline"]),
        (&empty, &["assess", "193.146.30.12", "--offline"]),
    ] {
        let run = state.run(arguments);
        writeln!(golden, "$ login-tracer {}\n{}", arguments.join(" "), run.shown()).unwrap();
    }
    assert!(!golden.chars().any(|c| c != '\n' && login_tracer::sanitize::is_hostile(c)));
    expect_file!["../goldens/risk.txt"].assert_eq(&golden);
}

#[test]
fn a_policy_is_tried_on_what_was_stored() {
    let state = State::with_examples();
    let config = state.path().join("policy.toml");
    // The session of the examples that root has, from a network of books, by nobody's opinion: unknown.
    fs::write(&config, "[risk]\nmedium_above = 5\n[risk.points]\nroot = 90\n").unwrap();
    let config = config.to_str().unwrap();
    let rules = state.run(&["rules", "--json", "--config", config]).stdout();
    let root: Value = rules
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|rule: &Value| rule["rule"] == "root")
        .unwrap();
    assert_eq!((&root["points"], &root["default_points"]), (&90.into(), &15.into()));
    let replayed = |arguments: &[&str]| state.run(arguments).stdout();
    let before = replayed(&["assess", "--replay"]);
    let after = replayed(&["assess", "--replay", "--config", config]);
    assert_ne!(before, after);
    assert!(after.lines().any(|line| line.contains("high")), "{after}");
}

#[test]
fn a_list_makes_an_address_red_by_hand_too() {
    let state = State::empty();
    let (list, config) = (state.path().join("drop.txt"), state.path().join("lists.toml"));
    fs::write(&list, "193.146.0.0/16 ; SBL\n").unwrap();
    fs::write(&config, format!("[enrich.lists.drop]\npath = \"{}\"\n", list.display())).unwrap();
    let run =
        state.run(&["assess", "193.146.30.12", "--offline", "--json", "--config", config.to_str().unwrap()]);
    let record: Value = serde_json::from_str(&run.stdout()).unwrap();
    assert_eq!((&record["level"], &record["score"]), (&"high".into(), &70.into()));
    assert_eq!(record["rules"][0]["rule"], "listed");
    assert_eq!(record["facts"]["listings"][0]["entry"], "193.146.0.0/16");
    // One that cannot be read is said, by `check` as well.
    fs::write(&list, "oops\n").unwrap();
    let run = state.run(&["assess", "193.146.30.12", "--offline", "--config", config.to_str().unwrap()]);
    assert!(run.stdout().contains("list drop: it cannot be read"), "{}", run.shown());
    let check = state.run(&["check", "--config", config.to_str().unwrap()]).stdout();
    assert!(check.contains("line 1 is no address or network: oops"), "{check}");
}

#[test]
fn who_it_would_be_counts_by_hand_too() {
    let state = State::empty();
    state.write(&[]);
    let rated = |user: &[&str]| -> Value {
        let arguments = [&["assess", "10.1.2.3", "--offline", "--json"], user].concat();
        serde_json::from_str(&state.run(&arguments).stdout()).unwrap()
    };
    let gives_root =
        |record: &Value| record["rules"].as_array().unwrap().iter().any(|rule| rule["rule"] == "root");
    let (root, nobody_in_particular) = (rated(&["--user", "root"]), rated(&[]));
    assert!(gives_root(&root) && !gives_root(&nobody_in_particular), "{root:#}");
    // This host knows its root, and no account that nobody has.
    assert_eq!(root["facts"]["account"]["known"]["uid"], 0, "{root:#}");
    let stranger = rated(&["--user", "nobody-has-this-name"]);
    assert_eq!(stranger["facts"]["account"]["unknown"]["why"], "no_account", "{stranger:#}");
}

#[test]
fn what_makes_no_sense_is_said() {
    let state = State::with_examples();
    for (arguments, code) in [
        (&["assess"][..], 2),
        (&["assess", "example.org"], 2),
        (&["assess", "--replay", "192.0.2.1"], 2),
        (&["explain", "999"], 1),
        (&["explain"], 2),
    ] {
        assert_eq!(state.run(arguments).code(), Some(code), "{arguments:?}");
    }
    let empty = State::empty();
    assert_eq!(empty.run(&["assess", "--replay"]).code(), Some(1));
    let unrated = State::unrated();
    assert_eq!(unrated.run(&["assess", "--replay"]).stdout(), "No session was rated yet.\n");
    let explained = unrated.run(&["explain", "2"]);
    assert!(explained.stdout().ends_with("It was not rated yet: nobody was asked about the address.\n"));
}
